//! `soloist:job/dns-update`: changes to granted RRsets, through the account of the job's arbiter.

mod grant;
mod updater;

pub use grant::{Grant, Rule};
pub use updater::{Error, MAX_BYTES, MAX_CHANGES, MAX_RECORDS, MAX_RRSETS, MAX_TTL, Updater, Wanted};

use std::sync::Arc;

use hickory_proto::rr::Name;
use wasmtime::component::{HasSelf, Linker};

use super::{Capability, Granted};
use crate::arbiter::account::Account;
use crate::runtime::State;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package soloist:host; world dns-update { import soloist:job/dns-update@0.1.0; }",
        path: "../wit",
        imports: { default: async | trappable },
    });
}

use bindings::soloist::job::dns_update as wit;

pub(super) const CAPABILITY: Capability = Capability {
    name: "dns-update",
    interfaces: &["soloist:job/dns-update@0.1.0"],
    grant: Some("dns-update = [{ name = \"…\", types = [\"A\"] }]"),
    granted: |grants| grants.dns_update.is_some(),
    link: add_to_linker,
    enter,
};

/// The zone that jobs change, as far as they are granted it.
#[derive(Clone, Default)]
pub struct Zone {
    /// The account of the agent's arbiter, where it has one.
    pub account: Option<Arc<dyn Account>>,
    /// The records of all jobs of the configuration, absolute and in lower case: nothing at these names is changed.
    pub records: Arc<[Name]>,
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zone").field("records", &self.records).finish_non_exhaustive()
    }
}

/// What changes keep for a run.
struct Context {
    updater: Arc<Updater>,
}

fn enter(granted: &Granted, state: &mut State) {
    let grant = granted.grants.dns_update.clone().unwrap_or_default();
    let updater = Arc::new(Updater::new(grant, granted.services.clone(), Arc::clone(state.facts())));
    state.extensions.insert(Context { updater });
}

impl wit::Host for State {
    async fn replace(&mut self, rrsets: Vec<wit::Rrset>) -> wasmtime::Result<Result<(), wit::Error>> {
        self.facts().check()?;
        let updater = Arc::clone(&self.extensions.get::<Context>()?.updater);
        let wanted: Vec<Wanted> = rrsets.into_iter().map(Wanted::from).collect();
        match updater.replace(&wanted).await {
            Ok(()) => Ok(Ok(())),
            Err(Error::Lost(lost)) => Err(lost.into()),
            Err(Error::Denied(reason)) => Ok(Err(wit::Error::Denied(reason))),
            Err(Error::Invalid(reason)) => Ok(Err(wit::Error::Invalid(reason))),
            Err(Error::Refused(reason)) => Ok(Err(wit::Error::Refused(reason))),
            Err(Error::Unavailable(reason)) => Ok(Err(wit::Error::Unavailable(reason))),
        }
    }
}

impl From<wit::Rrset> for Wanted {
    fn from(set: wit::Rrset) -> Self {
        let wit::Rrset { name, rtype, ttl, data } = set;
        Self { name, rtype, ttl, data }
    }
}

fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}
