//! Any schedule and any time: due times go forward, and the one before and the one after enclose the time.

use arbitrary::{Arbitrary as _, Result, Unstructured};

use crate::round::{MAX_INTERVAL, MAX_TIME, Schedule};

/// Asks a schedule for the due times around a moment.
pub fn run(data: &[u8]) {
    let _ = ask(&mut Unstructured::new(data));
}

fn ask(u: &mut Unstructured<'_>) -> Result<()> {
    let Some(schedule) = schedule(u)? else { return Ok(()) };
    for _ in 0..8 {
        let time = u64::arbitrary(u)? % MAX_TIME;
        let (before, after) = (schedule.at_or_before(time), schedule.after(time));
        assert!(before <= time && time < after, "{before} <= {time} < {after}");
        assert!(schedule.at_or_before(before) == before || before == 0, "a due time is its own last one");
        assert_eq!(schedule.after(before), after, "nothing is due between the two");
        assert!(schedule.gap(time) > 0);
        if after < MAX_TIME {
            assert_eq!(schedule.at_or_before(after), after, "what is due next is due then");
            assert_eq!(schedule.at_or_before(after - 1), before);
        }
    }
    Ok(())
}

/// Any schedule that a configuration can have; none where the bytes make none.
///
/// # Errors
/// The bytes are at their end.
pub fn schedule(u: &mut Unstructured<'_>) -> Result<Option<Schedule>> {
    let usual = [1, 2, 5, 7, 60, 3600, 86_400, MAX_INTERVAL];
    Ok(Schedule::every(if u.ratio(3, 4)? { *u.choose(&usual)? } else { u.int_in_range(0..=MAX_INTERVAL + 1)? }))
}
