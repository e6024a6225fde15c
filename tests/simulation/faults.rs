//! The kinds of faults, and how often each was injected.

use std::fmt;
use std::ops::AddAssign;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A request never arrives.
    LostRequest,
    /// It is done, and the answer is lost.
    LostAnswer,
    /// A replacement arrives, perhaps long after its agent gave it up.
    LateRequest,
    /// A replacement arrives twice, and the answer is the second one's.
    Retransmitted,
    /// A replacement arrives a second time, perhaps much later.
    Repeated,
    /// The arbiter refuses to do anything.
    ServerError,
    /// The arbiter says that it failed, and has written.
    FailureAfterAll,
    /// The arbiter says that it failed, and has not written.
    Failure,
    /// Nobody reaches the arbiter.
    Outage,
    /// One agent does not.
    CutOff,
    /// The arbiter refuses every replacement, whatever it holds.
    Stubborn,
    /// An agent crashes, and begins again under another id.
    Crash,
    /// An agent stands still, and then everything happens at once.
    Pause,
    /// An agent is stopped when its run has ended.
    Stop,
    /// An agent is stopped at once, and gives its round back.
    GiveBack,
    /// An agent has no module.
    NoModule,
    /// A hand deletes the record.
    Deleted,
    /// A hand writes what is no record, or a second record.
    Garbage,
    /// A hand, or an agent that knows nothing of fences, writes a plain record.
    Plain,
}

const KINDS: usize = Fault::Plain as usize + 1;

const NAMES: [&str; KINDS] = [
    "requests lost",
    "answers lost",
    "requests late",
    "retransmitted",
    "repeated",
    "server errors",
    "failures though written",
    "failures",
    "outages",
    "agents cut off",
    "stubborn times",
    "crashes",
    "pauses",
    "stops",
    "given back",
    "without module",
    "deleted by hand",
    "garbage by hand",
    "plain by hand",
];

/// How many of each kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults([u64; KINDS]);

impl Faults {
    pub(crate) fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }
}

impl AddAssign<&Self> for Faults {
    fn add_assign(&mut self, other: &Self) {
        for (mine, others) in self.0.iter_mut().zip(other.0) {
            *mine += others;
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.0.iter().sum();
        write!(f, "{total}")?;
        for (name, count) in NAMES.iter().zip(self.0) {
            write!(f, ", {name} {count}")?;
        }
        Ok(())
    }
}
