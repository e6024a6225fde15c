//! One simulated agent: the real contender, its clocks, its run, and what waits for it while it stands still.

use soloist::round::contender::{Contender, Now};
use soloist::round::{Data, Fence, Outcome};

use crate::clock::Clock;
use crate::history::Start;
use crate::network::{Answer, Question};

/// One start of one agent.
pub(crate) struct Agent {
    pub(crate) start: Start,
    pub(crate) contender: Contender,
    pub(crate) clock: Clock,
    /// It is broken: it does not look at the arbiter's clock.
    pub(crate) trusts_its_clock: bool,
    /// The number of the last of its requests that arrived.
    pub(crate) arrived: u64,
    /// The exchange under way: its number, and what was asked.
    pub(crate) exchange: Option<(u64, Question)>,
    pub(crate) run: Option<Run>,
    /// The module that it holds.
    pub(crate) module: &'static str,
    /// It is broken: it keeps the job's text to itself.
    pub(crate) hoard: Option<Data>,
    /// It has no module before then.
    pub(crate) without_until: u64,
    pub(crate) cut_off_until: u64,
    pub(crate) is_paused: bool,
    pub(crate) paused_at: u64,
    /// When it asked what is under way.
    pub(crate) asked_at: u64,
    /// What happened while it stood still.
    pub(crate) waiting: Vec<News>,
    /// When its timer goes off.
    pub(crate) wake: Option<u64>,
}

/// A run under way.
pub(crate) struct Run {
    pub(crate) number: u64,
    pub(crate) fence: Fence,
    /// The job's text that it was handed.
    pub(crate) data: Option<Data>,
    /// In true time.
    pub(crate) lease_until: u64,
}

/// What an agent learns.
#[derive(Debug, Clone)]
pub(crate) enum News {
    /// What came of an exchange, and what its answer showed of the arbiter's clock.
    Answered(u64, Answer, Option<u64>),
    /// So much time has passed since it was begun that it is given up.
    GivenUp(u64),
    /// A run has ended.
    Ended(u64, Outcome),
    /// Whether there is a module may have changed.
    Module,
    Stop,
    GiveBack,
}

impl Agent {
    /// The time as it sees it.
    pub(crate) fn now(&self, true_ms: u64) -> Now {
        if self.trusts_its_clock { self.clock.trusted(true_ms) } else { self.clock.now(true_ms) }
    }

    /// The true time at which its monotonic clock shows this.
    pub(crate) fn true_ms(&self, mono_ms: u64) -> u64 {
        self.clock.true_ms(mono_ms)
    }
}
