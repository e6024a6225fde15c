//! The clocks of one simulated agent: a wall clock that may be anywhere, and one that only goes forward.

use rand::Rng;
use rand::rngs::SmallRng;
use soloist::round::contender::Now;
use soloist::round::{ArbiterClock, Shown};

use crate::options::EPOCH;

/// One hour, in milliseconds.
const HOUR: i64 = 3_600_000;

/// How far wall clocks are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clocks {
    /// By so much between any two of them, and they go as fast as the arbiter's.
    Close { apart_ms: u64 },
    /// By hours; they go too fast or too slow, and are set now and then.
    Wild,
}

/// What an agent's clocks show at a moment of true time, in milliseconds since the simulation began.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// How far its wall clock is ahead of the true time, at the beginning.
    pub(crate) offset_ms: i64,
    /// How much its wall clock gains, in millionths.
    pub(crate) drift_ppm: i64,
    /// What its monotonic clock showed when the simulation began.
    base_ms: u64,
    /// What the arbiter showed of its own.
    arbiter: ArbiterClock,
}

impl Clock {
    pub(crate) fn drawn(clocks: Clocks, rng: &mut SmallRng) -> Self {
        let (offset_ms, drift_ppm) = match clocks {
            Clocks::Close { apart_ms } => {
                let apart = i64::try_from(apart_ms).unwrap_or(0);
                (rng.random_range(0..=apart) - apart / 2, 0)
            }
            Clocks::Wild => {
                let off = if rng.random_bool(0.5) { 3 * HOUR } else { 3_000 };
                let drifts = rng.random_bool(0.5);
                (rng.random_range(-off..=off), if drifts { rng.random_range(-20_000..=20_000) } else { 0 })
            }
        };
        let base_ms = 1_000_000_000 + rng.random_range(0..1_000_000);
        Self { offset_ms, drift_ppm, base_ms, arbiter: ArbiterClock::new() }
    }

    /// The time as its agent sees it: its own, moved where the arbiter's says that it is wrong.
    pub(crate) fn now(&self, true_ms: u64) -> Now {
        let now = self.trusted(true_ms);
        Now { wall_ms: self.arbiter.wall(now.wall_ms, now.mono_ms), ..now }
    }

    /// The time as its own clocks show it.
    pub(crate) fn trusted(&self, true_ms: u64) -> Now {
        let drift = i64::try_from(true_ms).unwrap_or(0) * self.drift_ppm / 1_000_000;
        let wall_ms = (EPOCH * 1000 + true_ms).saturating_add_signed(self.offset_ms + drift);
        Now { wall_ms, mono_ms: self.base_ms + true_ms }
    }

    /// An answer showed the second of the arbiter's clock.
    pub(crate) fn saw(&mut self, sent: u64, received: u64, second: u64) {
        self.arbiter.saw(Shown { sent_ms: self.base_ms + sent, received_ms: self.base_ms + received, second });
    }

    /// The true time at which its monotonic clock shows this.
    pub(crate) fn true_ms(&self, mono_ms: u64) -> u64 {
        mono_ms.saturating_sub(self.base_ms)
    }

    /// Somebody sets the wall clock; whether forward.
    pub(crate) fn jump(&mut self, rng: &mut SmallRng) -> bool {
        let most = if rng.random_bool(0.5) { 2 * HOUR } else { 2_000 };
        let ms = rng.random_range(-most..=most);
        self.offset_ms += ms;
        ms > 0
    }

    /// The monotonic clock stood still for so long.
    pub(crate) fn stood_still(&mut self, ms: u64) {
        self.base_ms = self.base_ms.saturating_sub(ms);
    }
}
