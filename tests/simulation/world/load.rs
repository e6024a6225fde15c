//! What an arbiter is asked while nothing goes wrong.

use super::World;
use crate::options::Options;

/// What one round costs, on average.
pub(crate) struct Load {
    pub(crate) reads: f64,
    pub(crate) updates: f64,
    /// Replacements that were applied.
    pub(crate) written: f64,
    /// The most questions within a second.
    pub(crate) peak: u64,
}

/// Counts what is asked in so many rounds, once every agent has found its place.
#[expect(clippy::cast_precision_loss, reason = "these are counts of a few seconds of simulation")]
pub(crate) fn load(options: &Options, rounds: u64) -> Load {
    let mut world = World::new(options, None, None);
    world.checkers.clear();
    let turn = options.every * 1000;
    let until = |world: &mut World, ms: u64| {
        // Half a turn after a due time, so that a whole number of rounds is counted.
        while world.now < ms && world.step() {}
    };
    until(&mut world, 2 * turn - 1);
    let (reads, updates, written, starts) = (world.reads, world.updates, world.written, world.starts);
    let mut peak = 0;
    for second in 1..=rounds * options.every {
        let before = world.reads + world.updates;
        until(&mut world, 2 * turn - 1 + second * 1000);
        peak = peak.max(world.reads + world.updates - before);
    }
    let runs = (world.starts - starts) as f64;
    Load {
        reads: (world.reads - reads) as f64 / runs,
        updates: (world.updates - updates) as f64 / runs,
        written: (world.written - written) as f64 / runs,
        peak,
    }
}
