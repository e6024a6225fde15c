//! Which states of a contender are one: what a search through all of them needs to know.

use std::hash::{Hash, Hasher};

use super::Contender;

impl Hash for Contender {
    /// Of two contenders with equal rules, whose actions were taken: everything but their randomness.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            rules: _,
            id,
            rng: _,
            module,
            phase,
            run,
            started,
            ended,
            highest,
            abandoned,
            waits_for,
            pause,
            read_ms,
            newest,
            troubles,
            refusals,
            stop,
            actions: _,
        } = self;
        (id, module, phase, run, started, ended, highest).hash(state);
        (abandoned, waits_for, pause, read_ms, newest, troubles, refusals, stop).hash(state);
    }
}
