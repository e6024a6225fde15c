//! What the host tells a job about the run it is asked to do.

use std::time::{Duration, SystemTime};

use crate::__bindings::soloist::job::types;

/// The run that a job is asked to do.
///
/// `(round, attempt)` is the fence: it only rises, so a sink that remembers the last one it saw can refuse an older one.
///
/// ```
/// use soloist_sdk::Context;
///
/// // In a unit test of a job:
/// let context = Context { job: "canary".to_owned(), round: 1_780_000_000, attempt: 1, ..Context::default() };
/// assert_eq!(context.previous, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The job's name, as in the configuration: `[job.NAME]`.
    pub job: String,
    /// The agent that runs it. Unique to one start of one agent process.
    pub agent: String,
    /// The round: its due time in seconds since the Unix epoch. Only rises.
    pub round: u64,
    /// The attempt at this round, from 1.
    pub attempt: u32,
    /// When the round was due, in milliseconds since the Unix epoch.
    pub due_ms: u64,
    /// When the host will stop this run, in milliseconds since the Unix epoch.
    pub deadline_ms: u64,
    /// How the job's previous run ended, whichever agent ran it: the code in the record, `ok`, `error`, `retry`,
    /// `timeout`, ... None before the first.
    pub previous: Option<String>,
}

impl Context {
    /// When the round was due.
    pub fn due(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.due_ms)
    }

    /// When the host will stop this run.
    pub fn deadline(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.deadline_ms)
    }

    /// How much time is left by the wall clock; zero once the deadline has passed.
    pub fn time_left(&self) -> Duration {
        self.deadline().duration_since(SystemTime::now()).unwrap_or_default()
    }
}

impl From<types::Context> for Context {
    fn from(context: types::Context) -> Self {
        let types::Context { job, agent, round, attempt, due_ms, deadline_ms, previous } = context;
        Self { job, agent, round, attempt, due_ms, deadline_ms, previous }
    }
}
