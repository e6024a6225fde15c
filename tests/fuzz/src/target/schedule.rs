//! Any schedule and any time: due times go forward, and the one before and the one after enclose the time.

use arbitrary::{Arbitrary as _, Result, Unstructured};
use jiff::tz::TimeZone;

use crate::round::{MAX_INTERVAL, MAX_TIME, Schedule};

/// About the year 8990: from the year 9000 on, where the calendars of cron expressions end, due times are only bounded.
const LAST: u64 = MAX_TIME - 1010 * 366 * 86_400;

/// Asks a schedule for the due times around a moment.
pub fn run(data: &[u8]) {
    let _ = ask(&mut Unstructured::new(data));
}

fn ask(u: &mut Unstructured<'_>) -> Result<()> {
    let Some(schedule) = schedule(u)? else { return Ok(()) };
    for _ in 0..8 {
        let time = if u.ratio(7, 8)? { u64::arbitrary(u)? % MAX_TIME } else { u64::arbitrary(u)? };
        let (before, after) = (schedule.at_or_before(time), schedule.after(time));
        assert!(before <= time && (time < after || after == u64::MAX), "{before} <= {time} < {after}");
        assert!(schedule.at_or_before(before) == before || before == 0, "a due time is its own last one");
        assert!(schedule.gap(time) > 0);
        if after < LAST {
            assert_eq!(schedule.after(before), after, "nothing is due between the two");
            assert_eq!(schedule.at_or_before(after), after, "what is due next is due then");
            assert_eq!(schedule.at_or_before(after - 1), before);
        }
    }
    Ok(())
}

/// Expressions that are unlike each other.
const CRONS: [&str; 9] = [
    "* * * * *",
    "*/5 9-17 * * MON-FRI",
    "30 2 * * *",
    "*/20 * * * * *",
    "0 0 29 2 *",
    "15 3 L * *",
    "0 12 15W * *",
    "59 23 * 12 5L",
    "@weekly",
];

/// Zones with and without daylight saving, in both hemispheres, whatever the machine knows of zones.
const ZONES: [&str; 4] = ["UTC0", "EET-2EEST,M3.5.0/3,M10.5.0/4", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "<-12>12"];

/// Any schedule that a configuration can have; none where the bytes make none.
///
/// # Errors
/// The bytes are at their end.
pub fn schedule(u: &mut Unstructured<'_>) -> Result<Option<Schedule>> {
    let usual = [1, 2, 5, 7, 60, 3600, 86_400, MAX_INTERVAL];
    Ok(match u.int_in_range(0..=4)? {
        0 | 1 => Schedule::every(*u.choose(&usual)?),
        2 => Schedule::every(u.int_in_range(0..=MAX_INTERVAL + 1)?),
        3 => cron(u.choose(&CRONS)?, u)?,
        _ => cron(<&str>::arbitrary(u)?, u)?,
    })
}

fn cron(expression: &str, u: &mut Unstructured<'_>) -> Result<Option<Schedule>> {
    let zone = TimeZone::posix(u.choose(&ZONES)?).expect("it is a zone");
    Ok(Schedule::cron(expression, zone).ok())
}
