//! A host for unit tests: a job's function runs by plain `cargo test`, with capabilities that answer as the test says.
//!
//! ```
//! use soloist_sdk::{Context, Failure, config, http, log, slack, state, test};
//!
//! fn run(_: Context) -> Result<String, Failure> {
//!     let url = config::get("url").ok_or_else(|| Failure::final_("the setting `url` is missing"))?;
//!     let runs = state::load::<u32>()?.unwrap_or_default() + 1;
//!     state::save(&runs)?;
//!     let status = http::get(url)?.status;
//!     if status != 200 {
//!         log::warn!("it answered {status}");
//!         slack::post("#ops", format!("it answered {status}"))?;
//!     }
//!     Ok(format!("run {runs}: {status}"))
//! }
//!
//! let ran = test::Host::new()
//!     .config("url", "https://example.com/health")
//!     .state(&41)
//!     .respond("https://example.com/health", 503, "down")
//!     .run(run);
//!
//! assert_eq!(ran.result, Ok("run 42: 503".to_owned()));
//! assert_eq!(ran.requests[0].method, "GET");
//! assert_eq!(ran.posts[0].text, "it answered 503");
//! assert_eq!(ran.logs, [(log::Level::Warn, "it answered 503".to_owned())]);
//! assert_eq!(ran.state.as_deref(), Some("42"));
//! ```
//!
//! What the test has no answer for is denied, as the host denies what was not granted, and the error says what to add. The host
//! belongs to the thread that runs the job. This module is there on machines that build jobs, and not in a job.

pub(crate) mod calls;
mod ran;
mod world;

use std::cell::RefCell;
use std::fmt::Display;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::{Context, Failure, dns, dns_update, http, slack};
use world::World;

pub use ran::{Change, Figure, Post, Ran, Request};

thread_local! {
    /// The host of the run that this thread does.
    static CURRENT: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// A host that is being put together; [`Host::run`] runs a job on it.
#[derive(Debug, Default)]
#[must_use = "a host does nothing until a job runs on it"]
pub struct Host {
    world: World,
    context: Context,
}

impl Host {
    /// A host on which nothing is set, and nothing is answered.
    pub fn new() -> Self {
        let mut world = World::default();
        let deadline = world.now + Duration::from_secs(30);
        let millis = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        };
        let context = Context {
            job: "job".to_owned(),
            agent: "test-0000000000000000".to_owned(),
            round: millis(world.now) / 1000,
            attempt: 1,
            due_ms: millis(world.now),
            deadline_ms: millis(deadline),
            previous: None,
        };
        world.deadline = deadline;
        Self { world, context }
    }

    /// Gives the job a setting: anything that serializes as JSON.
    ///
    /// # Panics
    /// The value is no JSON.
    pub fn config(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.world.config.insert(key.into(), json(&value));
        self
    }

    /// Says how the job's previous run ended: `ok`, `error`, `retry`, `timeout`, ...
    pub fn previous(mut self, outcome: impl Into<String>) -> Self {
        self.context.previous = Some(outcome.into());
        self
    }

    /// Changes what the job is told about its run; its deadline is that of the [clock](crate::clock), too.
    pub fn context(mut self, change: impl FnOnce(&mut Context)) -> Self {
        change(&mut self.context);
        self.world.deadline = self.context.deadline();
        self
    }

    /// Leaves the job with this, as JSON.
    ///
    /// # Panics
    /// The value is no JSON.
    pub fn state(mut self, value: impl Serialize) -> Self {
        self.world.state = Some(json(&value).to_string());
        self
    }

    /// Answers requests to this URL, of whatever method. Several answers to one are given in turn, and the last again and again.
    pub fn respond(self, url: impl Into<String>, status: u16, body: impl Into<Vec<u8>>) -> Self {
        let url = url.into();
        let response = http::Response { status, headers: Vec::new(), body: body.into(), url: url.clone() };
        self.answer(url, Ok(response))
    }

    /// As [`Host::respond`], with a body of JSON.
    ///
    /// # Panics
    /// The value is no JSON.
    pub fn respond_json(self, url: impl Into<String>, status: u16, body: impl Serialize) -> Self {
        let url = url.into();
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let response = http::Response { status, headers, body: json(&body).to_string().into(), url: url.clone() };
        self.answer(url, Ok(response))
    }

    /// As [`Host::respond`], with a whole response or an error.
    pub fn answer(mut self, url: impl Into<String>, answer: Result<http::Response, http::Error>) -> Self {
        self.world.answers.entry(url.into()).or_default().push_back(answer);
        self
    }

    /// Presents these certificates, in DER, at an `https` origin.
    pub fn certificates(mut self, origin: impl Into<String>, chain: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.world.certificates.insert(origin.into(), chain.into_iter().collect());
        self
    }

    /// Grants a secret. Its placeholder is `soloist-secret-NAME`.
    pub fn secret(mut self, name: impl Into<String>) -> Self {
        self.world.secrets.insert(name.into());
        self
    }

    /// Posts by an incoming webhook, which tells nothing of where a message stands. Without, a bot token does.
    pub fn webhook(mut self) -> Self {
        self.world.webhook = true;
        self
    }

    /// Refuses the next message to a channel, or its next update; repeated, the one after.
    pub fn refuse_post(mut self, channel: impl Into<String>, error: slack::Error) -> Self {
        self.world.refusals.entry(channel.into()).or_default().push_back(error);
        self
    }

    /// Answers questions for the records of a type at a name, at the system's resolver and at every server that has no answer
    /// of its own. None at all is `NXDOMAIN`.
    pub fn records<D: Display>(mut self, name: &str, rtype: &str, ttl: u32, data: impl IntoIterator<Item = D>) -> Self {
        self.world.records.insert(world::key(name, rtype), Ok(world::answer(name, rtype, ttl, data)));
        self
    }

    /// Answers questions for the records of a type at a name, at this server; or fails to.
    pub fn records_at(
        mut self,
        server: impl Into<String>,
        name: &str,
        rtype: &str,
        answer: Result<dns::Answer, dns::Error>,
    ) -> Self {
        self.world.records_at.insert((server.into(), world::key(name, rtype)), answer);
        self
    }

    /// Refuses the next change to the DNS; repeated, the one after.
    pub fn refuse_change(mut self, error: dns_update::Error) -> Self {
        self.world.change_refusals.push_back(error);
        self
    }

    /// Runs a job, and gives what came of it.
    ///
    /// # Panics
    /// The job does; or the thread runs one already.
    pub fn run<F>(self, run: F) -> Ran
    where
        F: FnOnce(Context) -> Result<String, Failure>,
    {
        let (result, mut ran) = self.call(run);
        if result.is_err() {
            ran.state.clone_from(&ran.state_before);
        }
        Ran { result, ..ran }
    }

    /// Calls a part of a job, whatever it gives; the result in what came of it is empty.
    ///
    /// # Panics
    /// As [`Host::run`].
    pub fn call<T>(self, part: impl FnOnce(Context) -> T) -> (T, Ran) {
        let Self { world, context } = self;
        CURRENT.with_borrow_mut(|current| {
            assert!(current.is_none(), "this thread has a host already: a job cannot run within a job");
            *current = Some(world);
        });
        // Whatever happens, the thread's next test begins without a host.
        let guard = Guard;
        let result = part(context);
        let world = CURRENT.take().expect("the host that was set above");
        drop(guard);
        (result, world.into_ran())
    }
}

struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// What a test gives as a value.
fn json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("a value that serializes as JSON")
}

#[cfg(test)]
mod tests;
