//! What happens in a simulation, as the checkers see it: with the true time, which no agent knows.

use soloist::round::contender::{Ended, Halt, Notice};
use soloist::round::{Data, Fence, Record, Unreadable};

/// One start of one agent: a process that crashed comes back as another one.
pub(crate) type Start = usize;

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// An agent began, with this id.
    Began { agent: Start, id: String },
    /// An agent is gone: it crashed or was stopped.
    Gone { agent: Start },
    /// An agent is hindered until then: paused, cut off, without a module, a message of its lost, late or old.
    Hindered { agent: Start, until: u64 },
    /// An agent asked the arbiter something.
    Asked { agent: Start, replacement: Option<Record> },
    /// It has the answer, or has given it up.
    Answered { agent: Start },
    /// Its timer went off.
    Woken { agent: Start },
    /// An agent's contender tells something; only for whoever reads along.
    #[expect(dead_code, reason = "it is read as what `Debug` prints")]
    Noticed { agent: Start, notice: Notice },
    /// The arbiter wrote a record in place of another one.
    Written(Written),
    /// An operator steered the job by a conditional replacement.
    Steered { old: Record, new: Record },
    /// A hand changed what stands at the arbiter: now it is this, or nothing, or no record.
    Hand { stands: Result<Option<Record>, Unreadable> },
    /// A run was started and handed the job's text; its lease stands until then.
    Started { agent: Start, fence: Fence, lease_until: u64, data: Option<Data> },
    /// The lease of the run of this agent was extended.
    Extended { agent: Start, lease_until: u64 },
    /// The run of this agent is no more.
    Stopped { agent: Start, fence: Fence, how: Stopped },
    /// From now on nothing goes wrong any more.
    Healed,
}

/// A replacement that was applied.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    /// What stood there; none if nothing did.
    pub(crate) old: Option<Record>,
    /// A hand wrote or deleted what stood there.
    pub(crate) is_over_a_hand: bool,
    /// What stands there now.
    pub(crate) new: Record,
}

/// How a run stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// By itself.
    Ended(Ended),
    /// The contender stopped it.
    Halted(Halt),
    /// Its agent crashed.
    Crashed,
}
