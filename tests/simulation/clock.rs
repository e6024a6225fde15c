//! The clocks of one simulated agent: a wall clock that may be anywhere, and one that only goes forward.

use soloist::round::contender::Now;

use crate::options::EPOCH;

/// What an agent's clocks show at a moment of true time, in milliseconds since the simulation began.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// How far its wall clock is ahead of the true time, at the beginning.
    pub(crate) offset_ms: i64,
    /// How much its wall clock gains, in millionths.
    pub(crate) drift_ppm: i64,
    /// What its monotonic clock showed when the simulation began.
    pub(crate) base_ms: u64,
}

impl Clock {
    /// The time as its agent sees it.
    pub(crate) fn now(&self, true_ms: u64) -> Now {
        let drift = i64::try_from(true_ms).unwrap_or(0) * self.drift_ppm / 1_000_000;
        let wall_ms = (EPOCH * 1000 + true_ms).saturating_add_signed(self.offset_ms + drift);
        Now { wall_ms, mono_ms: self.base_ms + true_ms }
    }

    /// The true time at which its monotonic clock shows this.
    pub(crate) fn true_ms(&self, mono_ms: u64) -> u64 {
        mono_ms.saturating_sub(self.base_ms)
    }

    /// Both clocks stood still for so long.
    pub(crate) fn stood_still(&mut self, ms: u64) {
        self.base_ms = self.base_ms.saturating_sub(ms);
    }
}
