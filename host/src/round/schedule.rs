//! Due times: from the schedule and the wall clock alone, the same for every agent.

use std::num::NonZeroU64;

/// The longest interval: a year of 366 days, in seconds.
pub const MAX_INTERVAL: u64 = 366 * 86_400;

/// When a job is due. Times are whole seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    every: NonZeroU64,
}

impl Schedule {
    /// Every so many seconds, aligned to the epoch, so that it never drifts; none for 0 or more than [`MAX_INTERVAL`].
    pub fn every(seconds: u64) -> Option<Self> {
        NonZeroU64::new(seconds).filter(|every| every.get() <= MAX_INTERVAL).map(|every| Self { every })
    }

    /// The first due time after `time`.
    pub fn after(&self, time: u64) -> u64 {
        self.at_or_before(time).saturating_add(self.every.get())
    }

    /// The last due time that is not after `time`.
    pub fn at_or_before(&self, time: u64) -> u64 {
        time - time % self.every
    }

    /// The longest time between two due times around `time`, in seconds.
    pub fn gap(&self, time: u64) -> u64 {
        self.after(time) - self.at_or_before(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_aligned_to_the_epoch() {
        let minute = Schedule::every(60).unwrap();
        assert_eq!((minute.at_or_before(119), minute.after(119)), (60, 120));
        assert_eq!((minute.at_or_before(120), minute.after(120)), (120, 180));
        assert_eq!(minute.gap(61), 60);
    }

    #[test]
    fn an_interval_of_nothing_or_of_ages_is_none() {
        assert_eq!(Schedule::every(0), None);
        assert_eq!(Schedule::every(MAX_INTERVAL + 1), None);
    }
}
