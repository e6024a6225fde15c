//! `soloist:job/dns`: questions to the system's resolver or straight at servers, for granted names.

mod asker;
mod grant;
pub(super) mod pattern;
mod server;

pub use asker::{
    Answer, Asker, DEFAULT_TIMEOUT, Error, MAX_AT_ONCE, MAX_QUESTIONS, MAX_SERVERS, MAX_TIMEOUT, Reply, Rr,
};
pub use grant::Grant;
pub use pattern::Pattern;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use wasmtime::component::{HasSelf, Linker};

use super::{Capability, Granted};
use crate::dns::resolvers::Resolvers;
use crate::runtime::State;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package soloist:host; world dns { import soloist:job/dns@0.1.0; }",
        path: "../wit",
        imports: { default: async | trappable },
    });
}

use bindings::soloist::job::dns as wit;

pub(super) const CAPABILITY: Capability = Capability {
    name: "dns",
    interfaces: &["soloist:job/dns@0.1.0"],
    grant: Some("dns = [\"…\"]"),
    granted: |grants| grants.dns.is_some(),
    link: add_to_linker,
    enter,
};

/// The table `[dns]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsConfig {
    /// Whom `lookup` asks: addresses, with a port where it is not 53. The system's resolvers if nothing is said.
    pub resolvers: Vec<Resolver>,
}

impl DnsConfig {
    pub(super) fn resolvers(&self) -> Resolvers {
        match self.resolvers.as_slice() {
            [] => Resolvers::System,
            some => Resolvers::At(some.iter().map(|resolver| resolver.0).collect()),
        }
    }
}

/// A resolver's address: `192.0.2.1`, `[2001:db8::1]:5353`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolver(pub SocketAddr);

impl<'de> Deserialize<'de> for Resolver {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong =
            || de::Error::custom(format!("`{text}` is no address, such as `192.0.2.1` or `[2001:db8::1]:5353`"));
        server::address(&text).map(Self).ok_or_else(wrong)
    }
}

/// What questions keep for a run.
struct Context {
    asker: Arc<Asker>,
}

fn enter(granted: &Granted, state: &mut State) {
    let grant = granted.grants.dns.clone().unwrap_or_default();
    let asker = Arc::new(Asker::new(grant, granted.services.clone(), Arc::clone(state.facts())));
    state.extensions.insert(Context { asker });
}

impl wit::Host for State {
    async fn lookup(&mut self, name: String, rtype: String) -> wasmtime::Result<Result<wit::Answer, wit::Error>> {
        self.facts().check()?;
        let asker = Arc::clone(&self.extensions.get::<Context>()?.asker);
        told(asker.lookup(&name, &rtype).await)
    }

    async fn ask(
        &mut self,
        name: String,
        rtype: String,
        servers: Vec<String>,
        timeout_ms: Option<u32>,
    ) -> wasmtime::Result<Vec<wit::Reply>> {
        self.facts().check()?;
        let asker = Arc::clone(&self.extensions.get::<Context>()?.asker);
        let timeout = timeout_ms.map(|millis| Duration::from_millis(millis.into()));
        let replies = asker.ask(&name, &rtype, &servers, timeout).await?;
        let told = |reply: Reply| {
            let elapsed_ms = u32::try_from(reply.elapsed.as_millis()).unwrap_or(u32::MAX);
            Ok(wit::Reply { server: reply.server, answer: told(reply.answer)?, elapsed_ms })
        };
        replies.into_iter().map(told).collect()
    }
}

/// What the module is told; a lost lease ends it instead.
fn told(result: Result<Answer, Error>) -> wasmtime::Result<Result<wit::Answer, wit::Error>> {
    match result {
        Ok(answer) => Ok(Ok(answer.into())),
        Err(Error::Lost(lost)) => Err(lost.into()),
        Err(Error::Denied(reason)) => Ok(Err(wit::Error::Denied(reason))),
        Err(Error::Invalid(reason)) => Ok(Err(wit::Error::Invalid(reason))),
        Err(Error::Timeout) => Ok(Err(wit::Error::Timeout)),
        Err(Error::Failed(reason)) => Ok(Err(wit::Error::Failed(reason))),
    }
}

impl From<Answer> for wit::Answer {
    fn from(answer: Answer) -> Self {
        let Answer { rcode, authoritative, records, nsid } = answer;
        let rr = |Rr { name, rtype, ttl, data }| wit::Rr { name, rtype, ttl, data };
        Self { rcode, authoritative, records: records.into_iter().map(rr).collect(), nsid }
    }
}

fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}
