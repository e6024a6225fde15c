//! A DNS server and agents with one job, and what they say of their store.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use soloist::arbiter::tsig::{Algorithm, Key};
use soloist_tests::agents::{Event, Fleet, eventually};
use soloist_tests::guest::wat;
use soloist_tests::scene::record;
use soloist_tests::served::Served;
use soloist_tests::servers::ZONE;
use tempfile::TempDir;

/// How long something may take that takes seconds: far longer.
pub(crate) const LONG: Duration = Duration::from_secs(180);

/// A DNS server, and agents with one job, `job`, whose module is `job.wat`.
pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    _dns: Served,
    _data: TempDir,
}

impl Stage {
    /// `tables` are beside `[job.job]`.
    pub(crate) fn new(tables: &str) -> Self {
        Self::of("job.wat", tables)
    }

    pub(crate) fn of(module: &str, tables: &str) -> Self {
        let key = Key::generate("soloist", Algorithm::HmacSha256).expect("a key's name");
        let data = tempfile::tempdir().expect("a directory");
        let dns = Served::start(ZONE, &key, data.path());
        let job = format!("[job.job]\nrecord = \"{}\"\nevery = \"1s\"\nmodule = \"{module}\"\n", record("job"));
        let fleet = Fleet::new(dns.addr, &key, &format!("{tables}\n{job}"));
        let stage = Self { fleet, _dns: dns, _data: data };
        stage.put(&wat("ok.wat"));
        stage
    }

    /// Puts a complete module in the place of the one before.
    pub(crate) fn put(&self, module: &str) {
        fs::write(self.fleet.path("new"), module).expect("a file");
        fs::rename(self.fleet.path("new"), self.fleet.path("job.wat")).expect("a rename");
    }

    pub(crate) fn said(&self, agent: &str, is_it: impl Fn(&Event) -> bool) -> Vec<Event> {
        self.fleet.log().all(|event| event.agent == agent && is_it(event))
    }

    pub(crate) async fn runs(&self, agent: &str) -> Event {
        let runs = || self.said(agent, |event| event.kind() == "ran" && event.text("outcome") == "ok");
        let before = runs().len();
        eventually(&format!("`{agent}` runs its job"), LONG, async || runs().into_iter().nth(before)).await
    }

    pub(crate) async fn refused(&self, agent: &str) -> Event {
        let refused = || self.said(agent, |event| event.kind() == "refused").pop();
        eventually(&format!("`{agent}` refuses the module"), LONG, async || refused()).await
    }

    /// The files of the store in this folder.
    pub(crate) fn kept(&self, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.fleet.path("cache/soloist").join(folder)).expect("there is a store");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

/// What an agent says of a store.
pub(crate) fn of_the_store(event: &Event, what: &str) -> bool {
    event.kind() == "store" && event.text("message").contains(what)
}
