//! What must hold in every state, each law with its name, and what must happen in some.

use soloist::round::contender::{Delivery, Now, Rules, is_wanted};
use soloist::round::{Fence, Outcome, Record, State};
use stateright::{Model as _, Property};

use crate::agent::number;
use crate::options::{EPOCH, Options, STEP_MS};
use crate::world::{Search, World};

/// A law, by what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Law {
    /// No two runs can act at the same moment.
    OneRun,
    /// A fence is started once, and in order.
    OneStart,
    /// The fence in the record only rises, and every claim has one of its own.
    RisingFences,
    /// A round is claimed when the record says so, and not before.
    NotBefore,
    /// The end of a run is written by its holder, once; others close a round only when its attempts are used up.
    OwnEnd,
    /// A round that was claimed is left for another one only when it came to an end.
    NoRoundLeft,
    /// The record says that a round was run well only where it was.
    TrueEnd,
    /// A round is attempted at most as often as allowed, beside what was given back.
    Attempts,
    /// A round is started once (at-most-once).
    OneStartARound,
    /// The job's text is changed by the end of a run that went well, by one, and by nothing else.
    TextKept,
    /// The record can be read.
    Readable,
    /// When the trouble is over, nothing is left undone.
    NothingLeft,
}

impl Law {
    /// Where the arbiter compares and swaps.
    pub(crate) const SWAPPING: &'static [Self] = &[
        Self::OneRun,
        Self::OneStart,
        Self::RisingFences,
        Self::NotBefore,
        Self::OwnEnd,
        Self::NoRoundLeft,
        Self::TrueEnd,
        Self::Attempts,
        Self::TextKept,
        Self::Readable,
        Self::NothingLeft,
    ];

    /// And a round must not be run a second time.
    pub(crate) const AT_MOST_ONCE: &'static [Self] = &[
        Self::OneRun,
        Self::OneStart,
        Self::OneStartARound,
        Self::RisingFences,
        Self::NotBefore,
        Self::OwnEnd,
        Self::NoRoundLeft,
        Self::TrueEnd,
        Self::Attempts,
        Self::TextKept,
        Self::Readable,
        Self::NothingLeft,
    ];

    /// Whatever the clocks show.
    pub(crate) const WITHOUT_CLOCKS: &'static [Self] =
        &[Self::OneStart, Self::RisingFences, Self::NoRoundLeft, Self::TrueEnd, Self::Attempts, Self::Readable];

    /// Where the arbiter only overwrites: claims are written over claims, but their runs exclude each other.
    pub(crate) const SETTLING: &'static [Self] = &[Self::OneRun, Self::OneStart, Self::Readable, Self::NothingLeft];

    /// This one and no other, so that no other one ends the search.
    pub(crate) fn alone(self) -> &'static [Self] {
        let place = Self::AT_MOST_ONCE.iter().position(|law| *law == self);
        place.map_or(&[], |place| &Self::AT_MOST_ONCE[place..=place])
    }

    /// This law's place in a set of laws.
    pub(crate) const fn bit(self) -> u16 {
        1 << self as u16
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OneRun => "no two runs can act at the same moment",
            Self::OneStart => "fences are started once and in order",
            Self::RisingFences => "fences only rise",
            Self::NotBefore => "no claim before the record's timer",
            Self::OwnEnd => "an end is written by its holder",
            Self::NoRoundLeft => "no round is left before its end",
            Self::TrueEnd => "a round that is called run was run",
            Self::Attempts => "no more attempts than allowed",
            Self::OneStartARound => "a round is started once",
            Self::TextKept => "the job's text is what its last good run left",
            Self::Readable => "the record can be read",
            Self::NothingLeft => "nothing is left undone in the end",
        }
    }

    pub(crate) fn property(self) -> Property<Search> {
        macro_rules! unbroken {
            ($law:expr) => {
                Property::<Search>::always($law.name(), |_, world: &World| world.violated & $law.bit() == 0)
            };
        }
        match self {
            Self::OneRun => unbroken!(Law::OneRun),
            Self::OneStart => unbroken!(Law::OneStart),
            Self::RisingFences => unbroken!(Law::RisingFences),
            Self::NotBefore => unbroken!(Law::NotBefore),
            Self::OwnEnd => unbroken!(Law::OwnEnd),
            Self::NoRoundLeft => unbroken!(Law::NoRoundLeft),
            Self::TrueEnd => unbroken!(Law::TrueEnd),
            Self::Attempts => unbroken!(Law::Attempts),
            Self::OneStartARound => unbroken!(Law::OneStartARound),
            Self::TextKept => unbroken!(Law::TextKept),
            Self::Readable => unbroken!(Law::Readable),
            Self::NothingLeft => {
                Property::<Search>::always(self.name(), |search, world| !is_left_undone(search, world))
            }
        }
    }
}

/// What the search must be able to reach, or it searches nothing worth it.
pub(crate) fn sights(options: &Options) -> Vec<Property<Search>> {
    let mut sights = vec![Property::<Search>::sometimes("a round is run well", |_, world| {
        world.record().is_some_and(|record| record.state == State::Idle && record.outcome == Some(Outcome::Ok))
    })];
    let is_repeated = options.rules.delivery == Delivery::AtLeastOnce;
    if is_repeated && options.budget.crashes > 0 {
        sights.push(Property::<Search>::sometimes("a crashed agent's round is run by another one", |_, world| {
            world.record().is_some_and(|record| record.outcome == Some(Outcome::Ok))
                && world.agents.iter().any(|agent| agent.contender.is_none())
                && world.started.is_some_and(|fence| fence.attempt == 2)
        }));
    }
    if options.budget.crashes > 0 && (!is_repeated || options.budget.crashes > 1) {
        sights.push(Property::<Search>::sometimes("a round comes to no end and is called lost", |_, world| {
            world.record().is_some_and(|record| record.outcome == Some(Outcome::Lost))
        }));
    }
    if options.budget.give_backs > 0 {
        sights.push(Property::<Search>::sometimes("a round is given back", |_, world| {
            world.record().is_some_and(|record| record.state == State::Free)
        }));
    }
    if options.budget.failures > 0 && is_repeated {
        sights.push(Property::<Search>::sometimes("a failed round waits for its next attempt", |_, world| {
            world.record().is_some_and(|record| record.state == State::Retry)
        }));
    }
    if options.rules.renew_ms.is_some() {
        sights.push(Property::<Search>::sometimes("a run outlives its first lease", |search, world| {
            let lease_ms = search.options.rules.lease_ms;
            world.agents.iter().any(|agent| {
                agent.run.is_some_and(|run| run.until_ms > (run.fence.round - EPOCH) * 1000 + lease_ms)
                    && agent.acts(world.at_ms)
                    && world.started.is_some_and(|fence| fence.attempt == 1)
            })
        }));
    }
    sights
}

/// Whether all trouble is over and time has stopped, and still something is wanted that nobody is about to do.
fn is_left_undone(search: &Search, world: &World) -> bool {
    if world.at_ms < search.options.steps * STEP_MS {
        return false;
    }
    let mut actions = Vec::new();
    search.actions(world, &mut actions);
    let is_deserted = world.agents.iter().all(|agent| agent.contender.is_none());
    if is_deserted || actions.iter().any(|action| !action.is_optional()) {
        return false;
    }
    let now = Now { wall_ms: EPOCH * 1000 + world.at_ms, mono_ms: world.at_ms };
    world.record().is_none_or(|record| is_wanted(record, &search.options.rules, now))
}

/// The laws that a new record breaks, where this one stood.
pub(crate) fn judge(old: Option<&Record>, new: &Record, world: &World, rules: &Rules) -> u16 {
    let seconds = EPOCH + world.at_ms / 1000;
    let Some(old) = old else { return 0 };
    let mut violated = 0;
    let mut demand = |law: Law, holds: bool| {
        if !holds {
            violated |= law.bit();
        }
    };
    if new.fence == old.fence {
        let is_own = old.state.is_running() && new.id == old.id;
        let is_closed = new.state == State::Idle && old.timer <= seconds && spent(old) >= rules.attempts;
        demand(Law::OwnEnd, is_own || is_closed);
        let is_renewed = new.id == old.id && new.timer > old.timer;
        demand(Law::RisingFences, is_renewed || !new.state.is_running());
        let is_run_well = new.state == State::Idle && new.outcome == Some(Outcome::Ok) && is_own;
        demand(Law::TrueEnd, !is_run_well || world.is_run_well && new.fence == world.started);
        let counted = number(old.data.as_ref()) + u64::from(is_run_well);
        demand(Law::TextKept, number(new.data.as_ref()) == counted);
        return violated;
    }
    demand(Law::RisingFences, new.state.is_running() && new.fence > old.fence);
    demand(Law::TextKept, new.data == old.data);
    demand(Law::NotBefore, old.timer <= seconds);
    demand(Law::Attempts, spent(new) <= rules.attempts);
    let is_same_round = old.fence.map(round) == new.fence.map(round);
    demand(Law::NoRoundLeft, is_same_round || matches!(old.state, State::Idle | State::Once));
    violated
}

/// How many attempts at the round count.
fn spent(record: &Record) -> u32 {
    record.fence.map_or(0, |fence| fence.attempt).saturating_sub(record.returned)
}

const fn round(fence: Fence) -> u64 {
    fence.round
}
