//! How often an arbiter that only overwrites fails.

use std::ops::AddAssign;

use super::{Trace, World};
use crate::options::Options;

/// What came of rounds at an arbiter that only overwrites.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) rounds: u64,
    /// Fences that were started twice.
    pub(crate) doubles: u64,
    /// Runs that were started while another one was under way.
    pub(crate) overlaps: u64,
    /// Rounds that were run again after their end: an end that is written while the lease ends may be overwritten by
    /// whoever saw the claim before. At least once is kept.
    pub(crate) again: u64,
}

impl Settled {
    /// How often a round had two winners.
    pub(crate) fn failures(&self) -> u64 {
        self.doubles + self.overlaps
    }
}

impl AddAssign for Settled {
    fn add_assign(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.doubles += other.doubles;
        self.overlaps += other.overlaps;
        self.again += other.again;
    }
}

/// Counts how often what one winner promises does not hold.
pub(crate) fn settle(options: &Options, trace: Option<Trace>) -> Settled {
    let mut world = World::new(options, None, trace);
    world.checkers.retain(|checker| ["one_start_a_fence", "no_overlap", "over_is_over"].contains(&checker.name()));
    while world.now < options.faulty_ms && world.step() {}
    let count = |name| world.violations.iter().filter(|violation| violation.checker == name).count() as u64;
    Settled {
        rounds: world.rounds,
        doubles: count("one_start_a_fence"),
        overlaps: count("no_overlap"),
        again: count("over_is_over"),
    }
}
