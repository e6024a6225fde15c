//! What a job may do beside computing: one file a capability, a table of them, and the grants that link them.
//!
//! Architecture Invariant: a capability is reached only through its entry in [`TABLE`]: what is not granted is not linked.

pub mod clock;
pub mod config;
pub mod dns;
pub mod dns_update;
pub mod http;
pub mod log;
pub mod metric;
pub mod random;
pub mod secrets;
pub mod slack;
pub mod state;

mod address;
mod grants;
mod secret;
mod services;

pub use grants::{Granted, Grants};
pub use secret::{Secret, SecretError, SecretSource};
pub use services::{Denials, Services, ServicesConfig, ServicesError};

use wasmtime::component::Linker;

use crate::runtime::{Interface, State};

/// A capability: its interfaces, and how a job gets it.
#[derive(Clone, Copy)]
pub struct Capability {
    /// Its name, which is the grant's key where it needs one: `http`.
    pub name: &'static str,
    /// The interfaces that it gives.
    pub interfaces: &'static [&'static str],
    /// The line that grants it, with a value to fill in; none where every job has it.
    pub grant: Option<&'static str>,
    granted: fn(&Grants) -> bool,
    link: fn(&mut Linker<State>) -> wasmtime::Result<()>,
    enter: fn(&Granted, &mut State),
}

/// Every capability that this host has.
pub const TABLE: &[Capability] = &[
    log::CAPABILITY,
    config::CAPABILITY,
    clock::CAPABILITY,
    random::CAPABILITY,
    metric::CAPABILITY,
    state::CAPABILITY,
    http::CAPABILITY,
    secrets::CAPABILITY,
    slack::CAPABILITY,
    dns::CAPABILITY,
    dns_update::CAPABILITY,
];

/// The capability that gives an interface.
pub fn find(interface: &Interface) -> Option<&'static Capability> {
    TABLE.iter().find(|capability| capability.interfaces.iter().any(|host| interface.fits(host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_is_found_by_its_family() {
        for (interface, name) in [
            ("soloist:job/log@0.1.0", Some("log")),
            ("soloist:job/config@0.1.7", Some("config")),
            ("soloist:job/state@0.1.0", Some("state")),
            ("soloist:job/http@0.1.0", Some("http")),
            ("wasi:http/outgoing-handler@0.2.0", Some("http")),
            ("wasi:http/types@0.2.3", Some("http")),
            ("soloist:job/slack@0.1.0", Some("slack")),
            ("wasi:config/store@0.2.0-rc.1", Some("config")),
            ("wasi:config/store@0.2.0", None),
            ("wasi:logging/logging@0.1.0-draft", Some("log")),
            ("wasi:logging/logging", Some("log")),
            ("soloist:job/dns@0.1.0", Some("dns")),
            ("soloist:job/dns-update@0.1.0", Some("dns-update")),
            ("soloist:job/clock@0.1.0", Some("clock")),
            ("soloist:job/random@0.1.3", Some("random")),
            ("soloist:job/metric@0.1.0", Some("metric")),
            ("soloist:job/secrets@0.1.0", Some("secrets")),
            ("soloist:job/http@0.2.0", None),
            ("wasi:http/incoming-handler@0.2.0", None),
            ("soloist:job/files@0.1.0", None),
        ] {
            assert_eq!(find(&Interface::new(interface)).map(|found| found.name), name, "{interface}");
        }
    }
}
