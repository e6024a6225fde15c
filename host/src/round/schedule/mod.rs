//! Due times: from the schedule and the wall clock alone, the same for every agent.

mod cron;
mod pattern;

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use jiff::tz::TimeZone;

pub use pattern::{CronError, MAX_CRON};

use cron::Cron;

/// The longest interval: a year of 366 days, in seconds.
pub const MAX_INTERVAL: u64 = 366 * 86_400;
/// The furthest that [`Schedule::nth_before`] counts back.
pub const MAX_BEFORE: u32 = 1000;

/// One day, in seconds.
const DAY: u64 = 86_400;

/// When a job is due. Times are whole seconds since the Unix epoch.
///
/// An interval is aligned to the epoch. A cron expression is read on the wall clock of one time zone, which is part of
/// the schedule: where an agent is, and what its own clock's zone is, makes no difference. Where that clock is set
/// forward or back:
///
/// - An expression with *fixed times*, with no `*` in its seconds, minutes and hours, is due once for each of its times
///   on each of its dates. A time that the clock leaves out is due at the moment after the gap; several of them in one
///   gap are one due time. A time that the clock shows twice is due the first time.
/// - Any other expression *follows the clock*: it is due whenever the clock shows one of its times, so `*/5 * * * *` is due
///   every five minutes of real time. A time that the clock leaves out is not due; one that it shows twice is due twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Every(NonZeroU64),
    Cron(Arc<Cron>),
}

impl Schedule {
    /// Every so many seconds, aligned to the epoch, so that it never drifts; none for 0 or more than [`MAX_INTERVAL`].
    pub fn every(seconds: u64) -> Option<Self> {
        NonZeroU64::new(seconds).filter(|every| every.get() <= MAX_INTERVAL).map(|every| Self(Kind::Every(every)))
    }

    /// A cron expression on the clock of a time zone: five fields (minute, hour, day of the month, month, day of the
    /// week), or six with the second first, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    ///
    /// Names (`MON`, `JAN`), ranges, steps and lists, and croner's extensions: `L`, `LW` and `15W` among the days of the
    /// month, `5L` and `1#2` among those of the week. Where both kinds of day are given, either will do, unless the day
    /// of the week begins with `+`, which asks for both.
    ///
    /// # Errors
    /// It is no such expression, is longer than [`MAX_CRON`], or names no date that ever comes.
    pub fn cron(expression: &str, zone: TimeZone) -> Result<Self, CronError> {
        Cron::new(expression, zone).map(|cron| Self(Kind::Cron(Arc::new(cron))))
    }

    /// The first due time after `time`; [`u64::MAX`] where the calendar ends, in the year 9000 for a cron expression.
    pub fn after(&self, time: u64) -> u64 {
        match &self.0 {
            Kind::Every(every) => self.at_or_before(time).saturating_add(every.get()),
            Kind::Cron(cron) => cron.after(time).unwrap_or(u64::MAX),
        }
    }

    /// The last due time that is not after `time`; 0 where there is none since the epoch.
    pub fn at_or_before(&self, time: u64) -> u64 {
        match &self.0 {
            Kind::Every(every) => time - time % *every,
            Kind::Cron(cron) => cron.at_or_before(time).unwrap_or(0),
        }
    }

    /// The `n`-th due time that is not after `time`, counted back from the last, which is the first; 0 where the epoch
    /// comes before it. `n` is taken into 1 to [`MAX_BEFORE`].
    pub fn nth_before(&self, time: u64, n: u32) -> u64 {
        let more = n.clamp(1, MAX_BEFORE) - 1;
        let last = self.at_or_before(time);
        match &self.0 {
            Kind::Every(every) => last.saturating_sub(u64::from(more).saturating_mul(every.get())),
            Kind::Cron(_) => {
                (0..more).fold(last, |due, _| due.checked_sub(1).map_or(0, |time| self.at_or_before(time)))
            }
        }
    }

    /// The longest time between two due times around `time`, in seconds.
    ///
    /// A cron expression's waits differ: a wait of more than half a day counts if it is within a day of `time`, so that an
    /// agent whose clock is wrong finds the wait that the others see. It is that of the due times themselves, never more.
    pub fn gap(&self, time: u64) -> u64 {
        match &self.0 {
            Kind::Every(every) => every.get(),
            Kind::Cron(_) => self.longest_wait(time.min(cron::LAST - 2 * DAY)),
        }
    }

    fn longest_wait(&self, time: u64) -> u64 {
        let (least, until) = (DAY / 2, time + DAY);
        let mut longest = least;
        let mut due = self.at_or_before(time.saturating_sub(DAY));
        // Only a longer wait counts, so every second step is at least one such wait ahead: a few steps for any expression.
        while due <= until {
            let far = self.at_or_before(due + longest);
            if far > due {
                due = far;
            } else {
                let next = self.after(due);
                longest = next - due;
                due = next;
            }
        }
        if longest > least { longest } else { self.after(time) - self.at_or_before(time) }
    }

    /// The shortest time between two due times, in seconds, on a clock that is never set.
    pub fn shortest(&self) -> u64 {
        match &self.0 {
            Kind::Every(every) => every.get(),
            Kind::Cron(cron) => cron.shortest(),
        }
    }

    /// The time zone whose clock it goes by; UTC for an interval.
    pub fn zone(&self) -> TimeZone {
        match &self.0 {
            Kind::Every(_) => TimeZone::UTC,
            Kind::Cron(cron) => cron.zone().clone(),
        }
    }

    /// The cron expression, as it was written; none for an interval.
    pub fn expression(&self) -> Option<&str> {
        match &self.0 {
            Kind::Every(_) => None,
            Kind::Cron(cron) => Some(cron.expression()),
        }
    }
}

/// `every 60 seconds`, or the expression and its time zone.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Every(every) => write!(f, "every {every} seconds"),
            Kind::Cron(cron) => {
                let zone = cron.zone().iana_name().unwrap_or("a zone without a name");
                write!(f, "`{}` in {zone}", cron.expression())
            }
        }
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
        assert_eq!((minute.gap(61), minute.shortest()), (60, 60));
        assert_eq!((minute.nth_before(601, 1), minute.nth_before(601, 3), minute.nth_before(601, 100)), (600, 480, 0));
    }

    #[test]
    fn an_interval_of_nothing_or_of_ages_is_none() {
        assert_eq!(Schedule::every(0), None);
        assert_eq!(Schedule::every(MAX_INTERVAL + 1), None);
    }

    #[test]
    fn the_calendar_has_two_ends() {
        let leap = Schedule::cron("0 0 29 2 *", TimeZone::UTC).unwrap();
        assert_eq!((leap.at_or_before(0), leap.nth_before(86_400, 5)), (0, 0));
        let first = leap.after(0);
        assert_eq!(leap.nth_before(first, 2), 0, "1968 is before the epoch");
        let last = leap.at_or_before(u64::MAX);
        assert!(last < cron::LAST && cron::LAST - last < 5 * 366 * DAY, "{last}");
        assert_eq!((leap.after(cron::LAST), leap.after(u64::MAX)), (u64::MAX, u64::MAX));
        assert!(leap.gap(u64::MAX) <= 8 * 366 * DAY);
    }
}
