//! The due times of a cron expression on the clock of a time zone, through every change of that clock.

use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::pattern::{CronError, Pattern};

/// The calendar's end: the year 9000, in seconds since the epoch. A cycle of it later, dates still exist.
pub(super) const LAST: u64 = 221_845_392_000;

/// One day, in seconds.
const DAY: i64 = 86_400;
/// More than any zone's offset from UTC, in seconds.
const MAX_OFFSET: i64 = 2 * DAY;

/// A cron expression and the time zone whose clock it goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    pattern: Pattern,
    zone: TimeZone,
}

/// A stretch of time in which the clock is not set. What the clock shows is written in seconds, as if it showed UTC.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// Its first second; none where it has no beginning.
    start: Option<i64>,
    /// The first second after it; none where it has no end.
    end: Option<i64>,
    /// What the clock shows, less UTC, in seconds.
    offset: i64,
    /// The same just before it.
    before: i64,
}

impl Cron {
    pub(super) fn new(expression: &str, zone: TimeZone) -> Result<Self, CronError> {
        Ok(Self { pattern: Pattern::parse(expression)?, zone })
    }

    pub(super) fn expression(&self) -> &str {
        self.pattern.text()
    }

    pub(super) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    pub(super) fn shortest(&self) -> u64 {
        u64::from(self.pattern.shortest())
    }

    /// The first due time after `time`.
    pub(super) fn after(&self, time: u64) -> Option<u64> {
        let mut at = i64::try_from(time).ok().filter(|_| time < LAST)? + 1;
        loop {
            let stretch = self.stretch(at)?;
            if stretch.start == Some(at) && self.is_due_after_gap(&stretch) {
                return u64::try_from(at).ok();
            }
            let shown = self.shown_from(stretch.shown_first(&self.pattern).max(at + stretch.offset))?;
            let due = shown - stretch.offset;
            match stretch.end {
                // From the end on, the clock shows nothing earlier than this: where the next named time is far ahead, so is
                // the next due time, many stretches on perhaps.
                Some(end) if due >= end => at = end.max(self.shown_from(end - MAX_OFFSET)? - MAX_OFFSET),
                _ => return u64::try_from(due).ok(),
            }
        }
    }

    /// The last due time that is not after `time`.
    pub(super) fn at_or_before(&self, time: u64) -> Option<u64> {
        let mut at = i64::try_from(time.min(LAST - 1)).ok()?;
        while at >= 0 {
            let stretch = self.stretch(at)?;
            let shown = self.shown_until(at + stretch.offset)?;
            if shown >= stretch.shown_first(&self.pattern) {
                return u64::try_from(shown - stretch.offset).ok();
            }
            if self.is_due_after_gap(&stretch) {
                return u64::try_from(stretch.start?).ok();
            }
            let start = stretch.start?;
            at = (start - 1).min(self.shown_until(start + MAX_OFFSET)? + MAX_OFFSET);
        }
        None
    }

    fn stretch(&self, at: i64) -> Option<Stretch> {
        let (now, next) = (Timestamp::from_second(at).ok()?, Timestamp::from_second(at + 1).ok()?);
        let offset = self.offset(now);
        let start = self.zone.preceding(next).next().map(|change| change.timestamp());
        Some(Stretch {
            start: start.map(Timestamp::as_second),
            end: self.zone.following(now).next().map(|change| change.timestamp().as_second()),
            offset,
            before: start.map_or(offset, |start| self.offset(start - SignedDuration::from_secs(1))),
        })
    }

    fn offset(&self, time: Timestamp) -> i64 {
        i64::from(self.zone.to_offset(time).seconds())
    }

    /// Whether a fixed time was left out when the clock was set forward, at the start of this stretch.
    fn is_due_after_gap(&self, stretch: &Stretch) -> bool {
        !self.pattern.follows_clock()
            && stretch.offset > stretch.before
            && stretch.start.is_some_and(|start| {
                self.shown_from(start + stretch.before).is_some_and(|shown| shown < start + stretch.offset)
            })
    }

    /// The first time on the clock's face, not before `shown`, that the expression names.
    fn shown_from(&self, shown: i64) -> Option<i64> {
        let (date, time) = face(shown)?;
        let today = self.pattern.date_from(date)?;
        if today == date
            && let Some(time) = self.pattern.time_from(time)
        {
            return on_face(date, time);
        }
        let date = if today == date { self.pattern.date_from(date.tomorrow().ok()?)? } else { today };
        on_face(date, self.pattern.time_from(0)?)
    }

    /// The last time on the clock's face, not after `shown`, that the expression names.
    fn shown_until(&self, shown: i64) -> Option<i64> {
        let (date, time) = face(shown)?;
        let today = self.pattern.date_until(date)?;
        if today == date
            && let Some(time) = self.pattern.time_until(time)
        {
            return on_face(date, time);
        }
        let date = if today == date { self.pattern.date_until(date.yesterday().ok()?)? } else { today };
        on_face(date, self.pattern.time_until(86_399)?)
    }
}

impl Stretch {
    /// The first time on the clock's face that counts in this stretch: fixed times that the clock has shown before, and now
    /// shows again, do not.
    fn shown_first(&self, pattern: &Pattern) -> i64 {
        let offset = if pattern.follows_clock() { self.offset } else { self.offset.max(self.before) };
        self.start.map_or(i64::MIN, |start| start + offset)
    }
}

/// The date, and the seconds since midnight, that a clock shows.
fn face(shown: i64) -> Option<(Date, u32)> {
    let date = Offset::UTC.to_datetime(Timestamp::from_second(shown).ok()?).date();
    Some((date, u32::try_from(shown.rem_euclid(DAY)).ok()?))
}

fn on_face(date: Date, time: u32) -> Option<i64> {
    let midnight = Offset::UTC.to_timestamp(date.to_datetime(Time::midnight())).ok()?;
    Some(midnight.as_second() + i64::from(time))
}
