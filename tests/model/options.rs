//! What is searched: how many agents, by which rules, with how much trouble of each kind, and what is broken on purpose.

use soloist::round::contender::{Backoff, Delivery, Rules, Settle};
use soloist::round::{Record, Schedule};

use crate::laws::Law;

/// When a search begins, in seconds since the Unix epoch: a due time of every schedule here.
pub(crate) const EPOCH: u64 = 1_800_000_000;

/// Time advances by so much: every wait that a contender draws at random ends within one step of when it begins, so that
/// what it draws is of no consequence.
pub(crate) const STEP_MS: u64 = 1_000;

/// So many steps before the end nothing goes wrong any more.
pub(crate) const CALM_STEPS: u64 = 2;

/// How much of each kind of trouble there is at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Budget {
    /// Crashes, each perhaps followed by a restart with another id.
    pub(crate) crashes: u8,
    /// Replacements whose answer is lost, that are still on their way when their client gives up, or that arrive twice.
    pub(crate) doubts: u8,
    /// Reads and replacements that fail, and nothing is written.
    pub(crate) errors: u8,
    /// Steps of time during which something is delayed: a request, an answer, or all that an agent does.
    pub(crate) delays: u8,
    /// Runs that fail and are worth a retry.
    pub(crate) failures: u8,
    /// Agents that are asked to give back what they hold.
    pub(crate) give_backs: u8,
    /// What an operator writes: a pause, then its end; or a trigger.
    pub(crate) steers: u8,
}

/// One search.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) name: &'static str,
    pub(crate) agents: usize,
    pub(crate) rules: Rules,
    /// Time stops after so many steps.
    pub(crate) steps: u64,
    /// How far the wall clock of the first agent is ahead, in seconds.
    pub(crate) ahead: u64,
    /// Whether there is a record at first.
    pub(crate) has_record: bool,
    /// Whether an operator triggers a run, instead of pausing the job.
    pub(crate) is_triggering: bool,
    /// Nothing is applied later than so long after the read that it rests on was asked for.
    pub(crate) applied_within_ms: Option<u64>,
    pub(crate) budget: Budget,
    pub(crate) broken: Option<Broken>,
    pub(crate) laws: &'static [Law],
}

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The arbiter writes whatever the record was.
    UnconditionalWrite,
    /// The arbiter writes the end of a run whatever the record was.
    UnconditionalEnd,
    /// The arbiter says that it wrote what it forgets.
    Forgetful,
    /// The arbiter writes a part of the value.
    TornWrite,
    /// The client reads again after a refusal, and sends the same value on the new condition.
    RefusedIsRepeated,
    /// All agents have one id.
    SharedId,
    /// An unknown outcome is taken for a win.
    UnknownIsWon,
    /// A run may act however long ago its lease ended, and whatever the contender says.
    EndlessLease,
    /// The lease of a run begins when its agent hears that it won.
    LeaseFromAnswer,
    /// The first agent counts attempts in another way.
    Attempts(u32),
    /// The first agent repeats what must not be repeated.
    Repeats,
    /// A failed run is told to the contender as a good one.
    Untruthful,
    /// A claim drops the job's text.
    DropsText,
    /// The end of a run that failed changes it.
    CommitsFailures,
    /// The contender never hears of a read that failed.
    DroppedError,
}

impl Options {
    /// Two agents without any trouble.
    pub(crate) fn new(name: &'static str) -> Self {
        let rules = Rules {
            lease_ms: 2_000,
            attempts: 2,
            backoff: Backoff { base_ms: 0, cap_ms: 0 },
            spread_ms: 0,
            // So long that no sleep is cut short at random.
            reread_ms: 1_000_000,
            ..Rules::new(Schedule::every(5).expect("an interval"))
        };
        Self {
            name,
            agents: 2,
            rules,
            steps: 10,
            ahead: 0,
            has_record: true,
            is_triggering: false,
            applied_within_ms: None,
            budget: Budget::default(),
            broken: None,
            laws: Law::SWAPPING,
        }
    }

    pub(crate) fn with(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    pub(crate) fn at_most_once(mut self) -> Self {
        self.rules.delivery = Delivery::AtMostOnce;
        self.rules.attempts = 1;
        self.laws = Law::AT_MOST_ONCE;
        self
    }

    /// At an arbiter that only overwrites.
    pub(crate) fn settling(mut self, wait_ms: u64, reads: u32) -> Self {
        self.rules.settle = Some(Settle { wait_ms, reads });
        self.laws = Law::SETTLING;
        self
    }

    pub(crate) fn lease(mut self, lease_ms: u64, renew_ms: Option<u64>) -> Self {
        (self.rules.lease_ms, self.rules.renew_ms) = (lease_ms, renew_ms);
        self
    }

    pub(crate) const fn overwrites(&self) -> bool {
        self.rules.settle.is_some()
    }

    /// The record at first: the first round is due at once.
    pub(crate) fn first_record(&self) -> Option<Record> {
        self.has_record.then(|| Record::new("first", EPOCH))
    }

    /// Whether all agents are alike.
    pub(crate) fn has_equal_agents(&self) -> bool {
        self.broken.is_none() && self.ahead == 0
    }

    /// The last moment before the end at which agents look at the record, however long they might sleep.
    pub(crate) fn last_look_ms(&self) -> u64 {
        self.rules.schedule.at_or_before(EPOCH + self.steps * STEP_MS / 1000).saturating_sub(EPOCH) * 1000
    }

    pub(crate) fn is_broken(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    /// The rules as the agent in this place has them.
    pub(crate) fn rules_of(&self, place: usize) -> Rules {
        let mut rules = self.rules.clone();
        match self.broken {
            Some(Broken::Attempts(attempts)) if place == 0 => rules.attempts = attempts,
            Some(Broken::Repeats) if place == 0 => {
                (rules.delivery, rules.attempts) = (Delivery::AtLeastOnce, 3);
            }
            _ => {}
        }
        rules
    }
}
