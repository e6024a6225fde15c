//! The contender: the state machine by which one agent takes part in one job's rounds.
//!
//! Pure, in the manner of quinn-proto: events and the time go in, actions come out, and whoever drives it owns
//! sockets and clocks. The driver answers every [`Action::Read`] by one [`Event::Read`] and every
//! [`Action::Replace`] by one [`Event::Replaced`]; there is at most one of them under way.

mod compose;
mod machine;
pub mod steer;
mod verdict;

#[cfg(test)]
mod tests;

pub use compose::first_record;
pub use machine::Contender;
pub use verdict::{is_wanted, readable};

use super::{Change, Data, Fence, Observation, Outcome, Record, Replaced, Revision, Schedule, Seal, Unreadable};

/// The time as an agent sees it, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the Unix epoch; may jump.
    pub wall_ms: u64,
    /// On a clock that only goes forward and counts through sleep.
    pub mono_ms: u64,
}

impl Now {
    /// The whole second that it is.
    pub const fn wall_seconds(self) -> u64 {
        self.wall_ms / 1000
    }

    /// The last whole second that is not later than `ms` from now.
    const fn wall_seconds_within(self, ms: u64) -> u64 {
        (self.wall_ms + ms) / 1000
    }

    /// The first whole second that is not earlier than `ms` from now.
    const fn wall_seconds_after(self, ms: u64) -> u64 {
        (self.wall_ms + ms).div_ceil(1000)
    }

    /// The moment, on the monotonic clock, at which the wall clock shows this second, unless it jumps.
    const fn mono_at(self, wall_seconds: u64) -> u64 {
        self.mono_ms.saturating_add(wall_seconds.saturating_mul(1000).saturating_sub(self.wall_ms))
    }
}

/// The rules of one job; the same for all of its agents, or else the stricter ones wait for the others.
#[derive(Debug, Clone)]
pub struct Rules {
    /// When the job is due.
    pub schedule: Schedule,
    /// How records are sealed.
    pub seal: Seal,
    /// How long a claim stands without being renewed.
    pub lease_ms: u64,
    /// When to renew, in milliseconds after a claim or renewal; none where the lease outlasts the longest run.
    pub renew_ms: Option<u64>,
    /// How often a run may be started for a round.
    pub delivery: Delivery,
    /// What becomes of rounds that nobody was up for.
    pub missed: Missed,
    /// How late a round may begin, its first attempt that is; later ones are left out. None: however late.
    pub start_deadline_ms: Option<u64>,
    /// Whether only an agent that holds the module that the record names may claim: see [`Record::wanted`].
    pub same_module: bool,
    /// How a claim is made sure of, where the arbiter only overwrites.
    pub settle: Option<Settle>,
    /// How often a round is attempted at most, at least 1; once where [`Delivery::AtMostOnce`] is asked for.
    pub attempts: u32,
    /// How long a failed round waits for its next attempt.
    pub backoff: Backoff,
    /// Up to how long after the due time an agent asks, drawn anew each time.
    pub spread_ms: u64,
    /// The longest sleep without a look at the record; up to half of it is left out at random.
    pub reread_ms: u64,
}

/// How often a run may be started for a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Delivery {
    /// Until one comes to its end, or the attempts are used up.
    #[default]
    AtLeastOnce,
    /// Never a second time: the claim says so in the record, and a crash loses the round.
    AtMostOnce,
}

/// What becomes of rounds that nobody was up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Missed {
    /// The latest of them is run, however late.
    #[default]
    RunOnce,
    /// None is run: a round that cannot begin within the start deadline ([`SKIP_AFTER_MS`] where there is none) is left out.
    Skip,
    /// Each is run, one after another, the latest `most` of them.
    CatchUp {
        /// At least 1.
        most: u32,
    },
}

/// How late a round may begin where missed ones are skipped and no start deadline is given.
pub const SKIP_AFTER_MS: u64 = 60_000;

/// Fischer's timed mutual exclusion, for arbiters that only overwrite: a claim that was written is read back, and stands
/// only if nobody overwrote it.
///
/// It holds where no agent's claim is applied later than `wait_ms` after that agent asked for the read that it rests on.
/// An arbiter bounds its exchanges so, and what a client gave up must not be applied later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Settle {
    /// How long to wait after a claim was applied, before it is read back the first time.
    pub wait_ms: u64,
    /// How often it is read back, at least once; the others follow in `wait_ms` together.
    pub reads: u32,
}

impl Rules {
    /// The rules of a job on this schedule of which nothing else is said.
    pub const fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            seal: Seal::none(),
            lease_ms: 35_000,
            renew_ms: None,
            delivery: Delivery::AtLeastOnce,
            missed: Missed::RunOnce,
            start_deadline_ms: None,
            same_module: false,
            settle: None,
            attempts: 3,
            backoff: Backoff { base_ms: 1_000, cap_ms: 60_000 },
            spread_ms: 50,
            reread_ms: 30_000,
        }
    }
}

/// Doubling waits with a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub base_ms: u64,
    /// The longest wait.
    pub cap_ms: u64,
}

impl Backoff {
    /// The wait after `failures` failures in a row, from 1.
    pub fn after(self, failures: u32) -> u64 {
        let doublings = failures.saturating_sub(1).min(30);
        self.base_ms.saturating_mul(1 << doublings).min(self.cap_ms)
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Some time passed: [`Contender::poll_timeout`] was reached, perhaps.
    Time,
    /// The answer to [`Action::Read`]; an error is why there is none.
    Read(Result<Observation, String>),
    /// The answer to [`Action::Replace`]; an error is why nothing was written.
    Replaced(Result<Replaced, String>),
    /// The run that [`Action::Start`] began has ended; the answer to [`Action::Halt`] is not reported.
    Ended(Ended),
    /// The module that a run would use: the prefix of its digest; none while there is no module to run.
    Module(Option<String>),
    /// Take no more rounds. A run under way may end.
    Stop,
    /// Take no more rounds, and give the one under way back.
    GiveBack,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// What it makes of the job's text: written with the end of a run that went well, and not at all otherwise.
    pub change: Change,
}

/// A run that leaves the job's text as it is.
impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, change: Change::Nothing }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "each is taken out of its queue at once")]
pub enum Action {
    /// Read the record at the arbiter.
    Read,
    /// Replace the record on a condition, once.
    Replace {
        /// What must still stand there.
        expected: Revision,
        /// What to write, as it is sealed.
        value: Vec<u8>,
        /// What to write.
        record: Record,
    },
    /// Start a run.
    Start {
        /// For this claim.
        fence: Fence,
        /// Until when, on the monotonic clock, it may act.
        lease_until_ms: u64,
        /// Of this module: the one that the claim names.
        module: Option<String>,
        /// How the previous run ended.
        previous: Option<Outcome>,
        /// The job's text, as the last run that went well left it.
        data: Option<Data>,
    },
    /// The lease of the run under way was renewed until then.
    Extend {
        /// On the monotonic clock.
        lease_until_ms: u64,
    },
    /// Stop the run under way at once: the round is lost or given back.
    Halt(Halt),
    /// Tell whoever watches.
    Notice(Notice),
    /// Stopped: nothing is held and nothing more will happen.
    Done,
}

/// Why a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// The lease ran out before it was renewed.
    Lapsed,
    /// The arbiter holds another record: somebody else has the round, or a hand changed it.
    Superseded,
    /// The agent is shutting down.
    Shutdown,
}

/// What an observer may want to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// There was no record, and one was created.
    Created {
        /// The first due time.
        due: u64,
    },
    /// We won a fence. `from` is whose round it was, where an earlier attempt's agent vanished or failed.
    Won {
        /// The fence.
        fence: Fence,
        /// The id in the record before.
        from: Option<String>,
    },
    /// Somebody else was faster.
    Lost {
        /// The fence that we had bid for.
        fence: Fence,
    },
    /// Our claim stands for another lease.
    Renewed {
        /// The fence.
        fence: Fence,
    },
    /// The end of a run is in the record.
    Finished {
        /// The fence.
        fence: Fence,
        /// How it ended.
        outcome: Outcome,
        /// The next due time or the time of the retry.
        timer: u64,
        /// Whether a retry is due then.
        retry: bool,
    },
    /// The end of a run was refused: the record is somebody else's by now.
    Superseded {
        /// The fence that we had held.
        fence: Fence,
    },
    /// A round was given back.
    Freed {
        /// The fence.
        fence: Fence,
    },
    /// A round was closed: no attempt's agent lived to its end, or none is left.
    Closed {
        /// The last fence of the round.
        fence: Fence,
    },
    /// The record cannot be acted on.
    Unreadable(Unreadable),
    /// The record could not be read.
    ReadFailed(String),
    /// A replacement did not happen.
    WriteFailed(String),
    /// Nobody knows whether a replacement happened; the record is read again.
    Unknown(String),
    /// A round is due, and there is no module to run.
    NoModule,
    /// The record names another module than ours, and only that one may run: no round is claimed. Told once.
    OtherModule {
        /// The module that a run would use.
        held: String,
        /// The one that the record names.
        wanted: String,
    },
    /// An operator paused the job.
    Paused {
        /// Why, in the operator's words.
        reason: String,
    },
    /// An operator took a pause back.
    Resumed,
}
