//! `wasi:http/outgoing-handler`: the standard interface, through the same gate. Redirects are for the module to see.
//!
//! A request's body is read whole before it is sent, so a module must finish it before it waits for the response. As many
//! bodies are read at once as requests may be under way ([`MAX_AT_ONCE`](super::MAX_AT_ONCE)).

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Limited, StreamBody};
use reqwest::Url;
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

use super::gate::{Error, Gate, Incoming, MAX_REQUEST_BODY, Outgoing};
use super::headers::{MAX_HEADERS, belongs_to_host, check_size};
use crate::runtime::State;

/// What a module may write at once of a request's body, in bytes: two such pieces wait for each request that is not sent
/// yet, and a run may hold very many of those.
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
        Self { http, hooks: Hooks { gate } }
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
}

/// What becomes of a response's connection: nothing is left to do, as the client keeps it.
type Rest = Box<dyn Future<Output = Result<(), WasiError>> + Send>;

impl WasiHttpHooks for Hooks {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        // `content-length` is checked against the body by wasmtime, and set anew by the client.
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
        let gate = Arc::clone(&self.gate);
        Box::new(async move {
            let response = send(&gate, request, options).await?;
            Ok((response, Box::new(async { Ok(()) }) as Rest))
        })
    }
}

async fn send(
    gate: &Gate,
    request: Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<Response<WasiBody>, WasiError> {
    let (mut parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string()).map_err(|_| WasiError::HttpRequestUriInvalid)?;
    parts.headers.remove(http::header::CONTENT_LENGTH);
    check_size(&parts.headers).map_err(|_| WasiError::HttpRequestHeaderSectionSize(None))?;
    // Before the body is read: bodies that wait for their turn are no memory of the module's, but of the host's.
    let place = gate.place().await.map_err(|error| wasi_error(&error))?;
    let too_large = |_| WasiError::HttpRequestBodySize(Some(MAX_REQUEST_BODY as u64));
    let body = Limited::new(body, MAX_REQUEST_BODY).collect().await.map_err(too_large)?.to_bytes();
    let timeout = options.and_then(|options| options.first_byte_timeout);
    let outgoing = Outgoing { method: parts.method, url, headers: parts.headers, body, timeout, follow: false };
    let incoming = gate.send_from(place, outgoing).await.map_err(|error| wasi_error(&error))?;

    let mut response = Response::builder().status(incoming.status());
    if let Some(headers) = response.headers_mut() {
        *headers = incoming.headers().clone();
    }
    response.body(stream(incoming)).map_err(|error| WasiError::InternalError(Some(error.to_string())))
}

/// The response's body, read as the module reads it.
fn stream(incoming: Incoming) -> WasiBody {
    let chunks = futures_util::stream::try_unfold(incoming, |mut incoming| async {
        let chunk: Option<Bytes> = incoming.chunk().await.map_err(|error| wasi_error(&error))?;
        Ok(chunk.map(|chunk| (Frame::data(chunk), incoming)))
    });
    BodyExt::boxed_unsync(StreamBody::new(chunks))
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;
    use tokio_util::sync::CancellationToken;

    use super::super::{Grant, MAX_AT_ONCE};
    use super::*;
    use crate::capability::{Services, ServicesConfig};
    use crate::round::Fence;
    use crate::runtime::{self, Facts, Lease, Limits};

    fn facts() -> Facts {
        Facts::new(&runtime::Request {
            job: "canary".to_owned(),
            agent: "agent-1".to_owned(),
            fence: Fence { round: 1000, attempt: 1 },
            due_ms: 1_000_000,
            previous: None,
            state: None,
            deadline: std::time::Duration::from_secs(10),
            lease: Lease::unlimited(),
            cancel: CancellationToken::new(),
            settings: Arc::default(),
            invocation: Arc::default(),
            limits: Limits::default(),
        })
    }

    #[tokio::test]
    async fn no_more_bodies_are_read_at_once_than_requests_may_be_under_way() {
        let services = Services::new(&ServicesConfig::default(), Path::new("")).unwrap();
        let grant = Grant::of(["http://127.0.0.1:9"]).unwrap();
        let mut hooks = Hooks { gate: Arc::new(Gate::new(grant, services, Arc::new(facts()))) };
        let read = Arc::new(AtomicUsize::new(0));
        let mut pending: Vec<_> = (0..3 * MAX_AT_ONCE)
            .map(|_| {
                let read = Arc::clone(&read);
                let frames = futures_util::stream::once(async move {
                    read.fetch_add(1, Ordering::Relaxed);
                    std::future::pending::<Result<Frame<Bytes>, WasiError>>().await
                });
                let body = BodyExt::boxed_unsync(StreamBody::new(frames));
                let request = Request::post("http://127.0.0.1:9/").body(body).unwrap();
                Box::into_pin(hooks.send_request(request, None, Box::new(async { Ok(()) })))
            })
            .collect();
        for response in &mut pending {
            assert!(response.now_or_never().is_none());
        }
        assert_eq!(read.load(Ordering::Relaxed), MAX_AT_ONCE);
    }
}
