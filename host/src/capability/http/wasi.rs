//! `wasi:http/outgoing-handler`: the standard interface, through the same gate. Redirects are for the module to see.
//!
//! Bodies are streamed both ways, with trailers, up to [`MAX_STREAM`](super::MAX_STREAM) each: a request's body while it is
//! written, the response's while it is read, and the response may come before the request's body ends. Trailers of a
//! request go out over HTTP/2 only. A body with a `content-length` is sent with it. Where the job has secrets, such a body of
//! at most [`MAX_REQUEST_BODY`](super::MAX_REQUEST_BODY) bytes is read whole first, as its length changes when a secret is put in.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request, Response, header};
use http_body::Body as _;
use http_body_util::{BodyExt, Empty, StreamBody};
use reqwest::Url;
use tokio::time::timeout;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::LinkOptions;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as WasiError, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttp,
    WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use super::gate::{Error, Gate};
use super::headers::{MAX_HEADERS, belongs_to_host, check_size};
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::upload::Stream;
use crate::runtime::State;

/// What a module may write at once of a request's body, in bytes: two such pieces wait for each request that is not sent
/// yet, and a run may hold very many of those. Before a request has one of the run's places, nothing of its body is read.
const BODY_CHUNK: usize = 16 * 1024;

/// What `wasi:http` keeps for a run.
pub(super) struct Context {
    http: WasiHttpCtx,
    hooks: Hooks,
}

impl Context {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_HEADERS);
        Self { http, hooks: Hooks { gate, alive: Arc::new(()) } }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        match self.extensions.get::<Context>() {
            Ok(context) => {
                WasiHttpCtxView { hooks: &mut context.hooks, table: &mut self.table, ctx: &mut context.http }
            }
            Err(error) => unreachable!("`wasi:http` is linked only where its context enters the run: {error}"),
        }
    }
}

type Pending = Result<Resource<HostFutureIncomingResponse>, ErrorCode>;

/// Links `wasi:http/types` and `wasi:http/outgoing-handler`.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    types::add_to_linker::<State, WasiHttp>(linker, &LinkOptions::default().into(), State::http)?;
    // As generated, but for the lease, which must stand before anything else happens.
    linker.instance("wasi:http/outgoing-handler@0.2.12")?.func_wrap(
        "handle",
        |mut store: StoreContextMut<'_, State>,
         (request, options): (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>)| {
            store.data().facts().check()?;
            let mut view = store.data_mut().http();
            let pending: Pending = match outgoing_handler::Host::handle(&mut view, request, options) {
                Ok(pending) => Ok(pending),
                Err(error) => Err(types::Host::convert_error_code(&mut view, error)?),
            };
            Ok((pending,))
        },
    )
}

/// Sends the requests of a module through the gate.
struct Hooks {
    gate: Arc<Gate>,
    /// Dropped with the run.
    alive: Arc<()>,
}

/// What becomes of a response's connection: nothing is left to do, as the client keeps it.
type Rest = Box<dyn Future<Output = Result<(), WasiError>> + Send>;

impl WasiHttpHooks for Hooks {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        // `content-length` is checked against the body by wasmtime, and set anew from the body's length.
        Arc::new(|name: &HeaderName| {
            DEFAULT_FORBIDDEN_HEADERS.contains(name) || belongs_to_host(name) && *name != http::header::CONTENT_LENGTH
        })
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Rest,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Rest), WasiError>> + Send> {
        let (gate, alive) = (Arc::clone(&self.gate), Arc::downgrade(&self.alive));
        Box::new(async move {
            let response = send(&gate, request, options.unwrap_or_default(), alive).await?;
            Ok((response, Box::new(async { Ok(()) }) as Rest))
        })
    }
}

async fn send(
    gate: &Gate,
    request: Request<WasiBody>,
    options: RequestOptions,
    alive: Weak<()>,
) -> Result<Response<WasiBody>, WasiError> {
    let (mut parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string()).map_err(|_| WasiError::HttpRequestUriInvalid)?;
    let length = parts.headers.remove(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let is_empty = length == Some(0) || body.is_end_stream();
    check_size(&parts.headers).map_err(|_| WasiError::HttpRequestHeaderSectionSize(None))?;
    let body = body.map_err(|error| Error::Failed(format!("the request's body: {error}"))).boxed_unsync();
    let stream = if is_empty {
        Stream { body: Empty::new().map_err(|never| match never {}).boxed_unsync(), length: Some(0), alive }
    } else {
        Stream { body, length, alive }
    };
    let timeout = options.first_byte_timeout;
    let outgoing =
        Outgoing { method: parts.method, url, headers: parts.headers, body: Bytes::new(), timeout, follow: false };
    let incoming = gate.stream(outgoing, stream).await.map_err(|error| wasi_error(&error))?;

    let mut response = Response::builder().status(incoming.status());
    if let Some(headers) = response.headers_mut() {
        *headers = incoming.headers().clone();
    }
    let body = read(incoming, options.between_bytes_timeout);
    response.body(body).map_err(|error| WasiError::InternalError(Some(error.to_string())))
}

/// The response's body, read as the module reads it, with as long a wait for each piece.
fn read(incoming: Incoming, wait: Option<Duration>) -> WasiBody {
    let frames = futures_util::stream::try_unfold(incoming, move |mut incoming| async move {
        let frame = match wait {
            Some(wait) => timeout(wait, incoming.frame()).await.map_err(|_| WasiError::ConnectionReadTimeout)?,
            None => incoming.frame().await,
        };
        let frame = frame.map_err(|error| wasi_error(&error))?;
        Ok(frame.map(|frame| (frame, incoming)))
    });
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

fn wasi_error(error: &Error) -> WasiError {
    match error {
        Error::Denied(_) => WasiError::HttpRequestDenied,
        Error::Invalid(_) => WasiError::HttpRequestUriInvalid,
        Error::Timeout => WasiError::HttpResponseTimeout,
        Error::TooLarge(_) => WasiError::HttpResponseBodySize(None),
        // The run is stopped for a lost lease before the module can see this.
        Error::Lost(_) | Error::Failed(_) => WasiError::InternalError(Some(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http_body::Frame;

    use super::super::{Grant, MAX_AT_ONCE};
    use super::*;
    use crate::capability::{Services, ServicesConfig};
    use crate::runtime::Facts;

    #[tokio::test]
    async fn no_more_bodies_are_read_at_once_than_requests_may_be_under_way() {
        // Accepts all, and answers nothing.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let services = Services::new(&ServicesConfig::default(), Path::new("")).unwrap();
        let grant = Grant::of([origin.as_str()]).unwrap();
        let gate = Arc::new(Gate::new(grant, services, Arc::new(Facts::of_any_run())));
        let mut hooks = Hooks { gate, alive: Arc::new(()) };
        let (read, mut each) = tokio::sync::mpsc::unbounded_channel();
        let pending: Vec<_> = (0..3 * MAX_AT_ONCE)
            .map(|number| {
                let read = read.clone();
                let frames = futures_util::stream::once(async move {
                    read.send(number).unwrap();
                    std::future::pending::<Result<Frame<Bytes>, WasiError>>().await
                });
                let body = BodyExt::boxed_unsync(StreamBody::new(frames));
                let request = Request::post(&origin).body(body).unwrap();
                tokio::spawn(Box::into_pin(hooks.send_request(request, None, Box::new(async { Ok(()) }))))
            })
            .collect();
        for _ in 0..MAX_AT_ONCE {
            each.recv().await.unwrap();
        }
        // One more place, one more body.
        assert!(timeout(Duration::from_millis(300), each.recv()).await.is_err());
        pending[0].abort();
        each.recv().await.unwrap();
        pending.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
