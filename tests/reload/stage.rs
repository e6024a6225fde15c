//! One agent with a configuration that changes.

use std::time::Duration;

use soloist::arbiter::tsig::Algorithm;
use soloist_tests::agents::{Event, Fleet, eventually};
use soloist_tests::heartbeat;
use soloist_tests::servers::{self, Kind, TestServer};

/// How long something may take that takes a few seconds: far longer.
pub(super) const LONG: Duration = Duration::from_secs(90);

/// A job that is due each second, of which no round is merged into a later one.
pub(super) fn job(name: &str, module: &str, more: &str) -> String {
    format!(
        "[job.{name}]\nrecord = \"{name}.example.test\"\nevery = \"1s\"\nmissed = \"catch-up\"\ncatch-up = 1000\n\
         module = \"{module}\"\n{more}\n"
    )
}

pub(super) struct Stage {
    pub(super) fleet: Fleet,
    /// `[arbiter]`, as it stands in the file.
    arbiter: String,
    _server: Box<dyn TestServer>,
}

impl Stage {
    /// One agent with these jobs. The module `short.wat` takes a millisecond, `long.wat` three seconds.
    pub(super) async fn with(jobs: &str) -> Self {
        let server = servers::start(Kind::Embedded, Algorithm::HmacSha256).await.unwrap();
        let mut fleet = Fleet::new(server.address(), server.key(), &(AGENT.to_owned() + jobs));
        for (name, run) in [("short.wat", 1), ("other.wat", 2), ("long.wat", 3_000)] {
            std::fs::write(fleet.path(name), heartbeat::working(Duration::from_millis(run))).unwrap();
        }
        let text = std::fs::read_to_string(fleet.path("soloist.toml")).unwrap();
        let arbiter = text[..text.find(AGENT).unwrap()].to_owned();
        fleet.start_all(&["alto"]).await;
        Self { fleet, arbiter, _server: server }
    }

    pub(super) fn text(&self, jobs: &str) -> String {
        self.arbiter.clone() + AGENT + jobs
    }

    /// Puts another configuration in the place of the one that is there.
    pub(super) fn put(&self, text: &str) {
        let new = self.fleet.path("soloist.toml.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.fleet.path("soloist.toml")).unwrap();
    }

    pub(super) fn events(&self, kind: &str, job: &str) -> Vec<Event> {
        self.fleet.log().all(|event| event.kind() == kind && event.job() == job)
    }

    /// Waits until so many more of these are said.
    pub(super) async fn more(&self, kind: &str, job: &str, count: usize) -> Event {
        let before = self.events(kind, job).len();
        eventually(&format!("{count} more `{kind}` of `{job}`"), LONG, async || {
            self.events(kind, job).get(before + count - 1).cloned()
        })
        .await
    }

    /// Under which ids the agent took part in a job, in their order.
    pub(super) fn ids(&self, job: &str) -> Vec<String> {
        let begun = |event: &Event| event.text("message") == "taking part" && event.text("job") == job;
        self.fleet.log().all(begun).iter().map(|event| event.text("agent").to_owned()).collect()
    }

    /// Every round of a job, from the first one that was won on, was run, in order, and none of them twice.
    pub(super) fn none_is_missing(&self, job: &str) {
        let rounds: Vec<u64> = self.events("won", job).iter().map(|event| event.number("round")).collect();
        assert!(rounds.windows(2).all(|pair| pair[1] == pair[0] + 1), "{rounds:?}");
        assert!(rounds.len() >= 3, "{rounds:?}");
    }
}

const AGENT: &str = "[agent]\nreread = \"1s\"\nmetrics = \"127.0.0.1:0\"\n";
