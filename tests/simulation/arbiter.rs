//! The arbiter: a primary that compares and swaps, and a secondary that lags behind it.

use std::collections::VecDeque;

use soloist::arbiter::memory::Memory;
use soloist::round::{Observation, Replaced, Revision};

/// One RRset, and what it was.
pub(crate) struct Arbiter {
    primary: Memory,
    /// What the primary holds: it is seen far more often than it changes.
    now: Observation,
    lag_ms: u64,
    /// What it held before, and until when; as far back as the secondary lags.
    before: VecDeque<(u64, Observation)>,
}

impl Arbiter {
    /// Nothing stands there; the secondary lags so far behind.
    pub(crate) fn new(lag_ms: u64) -> Self {
        Self { primary: Memory::default(), now: Observation::absent(), lag_ms, before: VecDeque::new() }
    }

    /// What the primary holds.
    pub(crate) const fn observe(&self) -> &Observation {
        &self.now
    }

    /// What the secondary holds.
    pub(crate) fn observe_old(&self, at: u64) -> &Observation {
        let shown = |(until, _): &&(u64, Observation)| *until + self.lag_ms > at;
        self.before.iter().find(shown).map_or(&self.now, |(_, old)| old)
    }

    /// The conditional replacement; what stood there where it was applied.
    pub(crate) fn swap(&mut self, at: u64, expected: &Revision, value: &[u8]) -> (Replaced, Option<Observation>) {
        let outcome = self.primary.swap(expected, value);
        let old = matches!(outcome, Replaced::Applied(_)).then(|| self.changed(at));
        (outcome, old)
    }

    /// A hand at the zone.
    pub(crate) fn overwrite(&mut self, at: u64, values: Vec<Vec<u8>>) {
        self.primary.overwrite(values);
        self.changed(at);
    }

    fn changed(&mut self, at: u64) -> Observation {
        let old = std::mem::replace(&mut self.now, self.primary.observe());
        while self.before.front().is_some_and(|(until, _)| *until + self.lag_ms <= at) {
            self.before.pop_front();
        }
        self.before.push_back((at, old.clone()));
        old
    }
}
