//! `soloist:job/http` and `wasi:http`: requests to granted origins. Both go through one [`Gate`].

mod certificates;
mod client;
mod gate;
mod grant;
mod headers;
mod incoming;
mod judge;
mod outgoing;
mod upload;
mod wasi;

pub use super::address::{Place, place};
pub(crate) use client::text as client_error_text;
pub use client::{ClientError, Clients, HttpConfig, Reach, install_crypto};
pub use gate::{
    Error, Gate, MAX_AT_ONCE, MAX_REDIRECTS, MAX_REQUEST_BODY, MAX_REQUESTS, MAX_RESPONSE_BODY, MAX_TIME, MAX_URL,
};
pub use grant::{Grant, OriginError, Rule};
pub use incoming::Incoming;
pub use outgoing::Outgoing;
pub use upload::{MAX_STREAM, Stream};

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use wasmtime::component::{HasSelf, Linker};

use super::{Capability, Granted, secrets};
use crate::runtime::State;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package soloist:host; world http { import soloist:job/http@0.1.0; }",
        path: "../wit",
        imports: { default: async | trappable },
    });
}

use bindings::soloist::job::http as wit;

pub(super) const CAPABILITY: Capability = Capability {
    name: "http",
    interfaces: &["soloist:job/http@0.1.0", "wasi:http/types@0.2.12", "wasi:http/outgoing-handler@0.2.12"],
    grant: Some("http = [\"https://…\"]"),
    granted: |grants| grants.http.is_some(),
    link: add_to_linker,
    enter,
};

/// What plain requests keep for a run.
struct Context {
    gate: Arc<Gate>,
}

fn enter(granted: &Granted, state: &mut State) {
    let grant = granted.grants.http.clone().unwrap_or_default();
    let vault = secrets::enter(granted, state);
    let gate = Arc::new(Gate::with_secrets(grant, granted.services.clone(), Arc::clone(state.facts()), vault));
    state.extensions.insert(wasi::Context::new(Arc::clone(&gate)));
    state.extensions.insert(Context { gate });
}

impl wit::Host for State {
    async fn fetch(&mut self, request: wit::Request) -> wasmtime::Result<Result<wit::Response, wit::Error>> {
        self.facts().check()?;
        let gate = Arc::clone(&self.extensions.get::<Context>()?.gate);
        answer(fetch(&gate, request).await)
    }

    async fn certificates(
        &mut self,
        origin: String,
        timeout_ms: Option<u32>,
    ) -> wasmtime::Result<Result<Vec<Vec<u8>>, wit::Error>> {
        self.facts().check()?;
        let gate = Arc::clone(&self.extensions.get::<Context>()?.gate);
        let timeout = timeout_ms.map(|millis| Duration::from_millis(millis.into()));
        answer(gate.certificates(&origin, timeout).await)
    }
}

/// What the module is told; a lost lease ends it instead.
fn answer<T>(result: Result<T, Error>) -> wasmtime::Result<Result<T, wit::Error>> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(Error::Lost(lost)) => Err(lost.into()),
        Err(Error::Denied(reason)) => Ok(Err(wit::Error::Denied(reason))),
        Err(Error::Invalid(reason)) => Ok(Err(wit::Error::Invalid(reason))),
        Err(Error::Timeout) => Ok(Err(wit::Error::Timeout)),
        Err(Error::TooLarge(reason)) => Ok(Err(wit::Error::TooLarge(reason))),
        Err(Error::Failed(reason)) => Ok(Err(wit::Error::Failed(reason))),
    }
}

async fn fetch(gate: &Gate, request: wit::Request) -> Result<wit::Response, Error> {
    let outgoing = Outgoing {
        method: outgoing::method(&request.method)?,
        url: Url::parse(&request.url).map_err(|error| Error::Invalid(format!("the URL is malformed: {error}")))?,
        headers: headers::parse(&request.headers).map_err(Error::Invalid)?,
        body: request.body.into(),
        timeout: request.timeout_ms.map(|millis| Duration::from_millis(millis.into())),
        follow: true,
    };
    let incoming = gate.send(outgoing).await?;
    let status = incoming.status().as_u16();
    let headers = incoming
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let url = incoming.url().to_owned();
    let body = incoming.body().await?.to_vec();
    Ok(wit::Response { status, headers, body, url })
}

fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    wasi::add_to_linker(linker)
}
