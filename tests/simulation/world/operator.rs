//! An operator pauses, resumes and triggers the job, each by a conditional replacement of what was read.

use rand::Rng;
use soloist::round::contender::Now;
use soloist::round::contender::steer::Steer;
use soloist::round::{Record, Replaced, Revision};

use super::{Due, World};
use crate::faults::Fault;
use crate::history::Happening;
use crate::options::{EPOCH, MODULES};

/// What an operator asks the arbiter.
pub(super) struct Steering {
    expected: Revision,
    old: Record,
    new: Record,
}

impl World {
    /// An operator reads the record, and writes another one some time later, perhaps seconds.
    pub(super) fn operator(&mut self) {
        let what = match self.rng.random_range(0..4) {
            0 => Steer::Pause { reason: "a deploy".to_owned() },
            1 => Steer::Trigger,
            _ => Steer::Resume,
        };
        let what = if self.options.same_module && self.rng.random_bool(0.5) {
            Steer::Module { wanted: MODULES[self.rng.random_range(0..2)].to_owned() }
        } else {
            what
        };
        let before = self.rng.random_range(0..1_000);
        let after = if self.rng.random_bool(0.8) { self.network.latency() } else { self.rng.random_range(0..3_000) };
        self.plan(before, Due::Operator(what, after));
    }

    pub(super) fn decide_to_steer(&mut self, what: &Steer, after_ms: u64) {
        if let Some(steering) = self.steering(what).filter(|_| !self.is_healed) {
            self.plan(after_ms, Due::Steering(Box::new(steering)));
        }
    }

    fn steering(&self, what: &Steer) -> Option<Steering> {
        let seen = self.network.arbiter.observe();
        let old = seen.opened(&self.seal).ok().flatten()?;
        // Without a fence nobody knows whether a round of this very second was run.
        if old.fence.is_none() && *what == Steer::Trigger {
            return None;
        }
        let now = Now { wall_ms: EPOCH * 1000 + self.now, mono_ms: 0 };
        let new = what.apply(&old, &self.options.rules(), now).ok()?;
        Some(Steering { expected: seen.revision.clone(), old, new })
    }

    pub(super) fn steer(&mut self, steering: Steering) {
        let Steering { expected, old, new } = steering;
        let (outcome, _) = self.network.arbiter.swap(self.now, &expected, &new.encode());
        if matches!(outcome, Replaced::Applied(_)) {
            self.faults.count(Fault::Steered);
            self.tell(&Happening::Steered { old, new });
        }
    }

    /// What is paused goes on, with the module that every agent gets.
    pub(super) fn resume_the_job(&mut self) {
        if let Some(steering) = self.steering(&Steer::Module { wanted: MODULES[0].to_owned() })
            && self.options.same_module
        {
            self.steer(steering);
        }
        if let Some(steering) = self.steering(&Steer::Resume) {
            self.steer(steering);
        }
    }
}
