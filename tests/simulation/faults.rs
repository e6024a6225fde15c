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
    /// A request arrives late, perhaps long after its agent gave it up.
    LateRequest,
    /// An answer arrives late, perhaps long after its agent gave it up.
    LateAnswer,
    /// A replacement arrives twice, and the answer is the second one's.
    Retransmitted,
    /// A replacement arrives a second time, perhaps much later.
    Repeated,
    /// An answer arrives a second time.
    RepeatedAnswer,
    /// A request arrives after one that its agent sent later.
    ReorderedRequest,
    /// An answer arrives after its agent has asked something else.
    ReorderedAnswer,
    /// A replacement is applied, and its agent does not hear of it.
    UnknownApplied,
    /// A replacement is not applied, and its agent does not hear of it.
    UnknownRefused,
    /// A replacement is applied after its agent gave it up.
    AppliedLate,
    /// The arbiter refuses to do anything.
    ServerError,
    /// The arbiter says that it failed, and has written.
    FailureAfterAll,
    /// The arbiter says that it failed, and has not written.
    Failure,
    /// A read is answered by a secondary that lags behind.
    Stale,
    /// Nobody reaches the arbiter.
    Outage,
    /// One agent does not.
    CutOff,
    /// The arbiter refuses every replacement, whatever it holds.
    Stubborn,
    /// An agent crashes at any time, and begins again under another id.
    Crash,
    /// It crashes when it has asked something.
    CrashAsked,
    /// It crashes when its request has arrived, before the answer.
    CrashArrived,
    /// It crashes when an answer has arrived, before it is taken in.
    CrashAnswered,
    /// It crashes when an answer was taken in, before anything is done about it.
    CrashDecided,
    /// It crashes right after it has started a run.
    CrashStarted,
    /// It crashes when a run has ended, before anybody is told.
    CrashEnded,
    /// An agent stands still, and then everything happens at once.
    Pause,
    /// It stands still for longer than a lease.
    LongPause,
    /// An agent's wall clock is more than a minute off.
    ClockOff,
    /// An agent's wall clock goes too fast or too slow.
    ClockDrifts,
    /// Somebody sets an agent's wall clock back.
    JumpBack,
    /// Somebody sets it forward.
    JumpForward,
    /// An agent is stopped when its run has ended.
    Stop,
    /// An agent is stopped at once, and gives its round back.
    GiveBack,
    /// An agent has no module.
    NoModule,
    /// A hand deletes the record.
    Deleted,
    /// A hand writes what is no record.
    Garbage,
    /// A hand writes a second record.
    TwoRecords,
    /// A hand edits a field of the record.
    Edited,
    /// A hand, or an agent that knows nothing of fences, writes a plain record.
    Plain,
    /// An agent gets another module, where all are to run the same one.
    Swapped,
    /// An operator pauses, resumes or triggers the job, or says which module is to run.
    Steered,
}

const KINDS: usize = Fault::Steered as usize + 1;

const NAMES: [&str; KINDS] = [
    "requests lost",
    "answers lost",
    "requests late",
    "answers late",
    "requests retransmitted",
    "requests repeated",
    "answers repeated",
    "requests overtaken",
    "answers overtaken",
    "applied, the answer lost",
    "not applied, the answer lost",
    "applied after given up",
    "server errors",
    "failures though written",
    "failures",
    "answers from an old copy",
    "outages",
    "agents cut off",
    "stubborn times",
    "crashes at any time",
    "crashes after a request",
    "crashes before an answer",
    "crashes at an answer",
    "crashes before a consequence",
    "crashes after a start",
    "crashes after an end",
    "short pauses",
    "pauses longer than a lease",
    "clocks off",
    "clocks that drift",
    "clocks set back",
    "clocks set forward",
    "stops",
    "given back",
    "without module",
    "deleted by hand",
    "garbage by hand",
    "two records by hand",
    "edited by hand",
    "plain by hand",
    "other modules",
    "steered by an operator",
];

/// How many of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Faults([u64; KINDS]);

impl Default for Faults {
    fn default() -> Self {
        Self([0; KINDS])
    }
}

impl Faults {
    pub(crate) fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl AddAssign<&Self> for Faults {
    fn add_assign(&mut self, other: &Self) {
        for (mine, others) in self.0.iter_mut().zip(other.0) {
            *mine += others;
        }
    }
}

/// Two kinds a line.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, count)) in NAMES.iter().zip(self.0).enumerate() {
            let end = if index % 2 == 1 || index + 1 == KINDS { "\n" } else { "" };
            write!(f, "  {count:>12} {name:<30}{end}")?;
        }
        Ok(())
    }
}
