//! Where a test of agents takes place: an embedded DNS server as a process of its own, a counter, and the probe as a job.

use std::fmt::Write as _;

use soloist::arbiter::tsig::{Algorithm, Key};
use tempfile::TempDir;

use crate::agents::Fleet;
use crate::counter::Counter;
use crate::probe;
use crate::served::Served;
use crate::servers::ZONE;

/// A DNS server and a counter.
#[derive(Debug)]
pub struct Scene {
    /// The DNS server.
    pub dns: Served,
    /// Whom the probe calls.
    pub counter: Counter,
    key: Key,
    data: TempDir,
}

impl Scene {
    /// Starts both.
    ///
    /// # Panics
    /// One does not start.
    pub async fn new() -> Self {
        let key = Key::generate("soloist", Algorithm::HmacSha256).expect("a key's name");
        let data = tempfile::Builder::new().prefix("scene-").tempdir().expect("there is room for a directory");
        let dns = Served::start(ZONE, &key, data.path());
        Self { dns, counter: Counter::start().await, key, data }
    }

    /// A fleet with these tables in its configuration, and the probe, version 0, as `probe.wasm`. No agent is started yet.
    ///
    /// # Panics
    /// The probe was not built.
    pub fn fleet(&self, tables: &str) -> Fleet {
        let fleet = Fleet::new(self.dns.addr, &self.key, tables);
        std::fs::write(fleet.path("probe.wasm"), probe::version(0)).expect("the probe can be copied");
        fleet
    }

    /// A fleet with these tables in its configuration, whose jobs have modules of their own.
    ///
    /// # Panics
    /// The configuration cannot be written.
    pub fn bare_fleet(&self, tables: &str) -> Fleet {
        Fleet::new(self.dns.addr, &self.key, tables)
    }

    /// Starts the DNS server again, at the same address with what it had kept, after it ended.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_dns_again(&mut self) {
        self.dns = Served::start_at(self.dns.addr, ZONE, &self.key, self.data.path());
    }

    /// The probe as a job whose record is [`record`]`(name)`. `rules` are lines of its table; `config` are lines of its
    /// settings, beside the `url` to report to.
    pub fn job(&self, name: &str, rules: &str, config: &str) -> String {
        let (origin, record) = (self.counter.origin(), record(name));
        let mut text = format!("[job.{name}]\nrecord = \"{record}\"\nmodule = \"probe.wasm\"\n{rules}\n");
        let _ = write!(text, "[job.{name}.grants]\nhttp = [\"{origin}\"]\nslack = []\n");
        let _ = write!(text, "[job.{name}.config]\nurl = \"{origin}/report\"\n{config}\n\n");
        text
    }
}

/// The record of a job of this name.
pub fn record(job: &str) -> String {
    format!("{job}.{ZONE}")
}
