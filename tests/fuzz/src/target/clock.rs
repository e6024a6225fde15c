//! Any answers of an arbiter's clock: its bounds are in order, a wrong local clock is moved between them, and as long as all
//! that was shown is true they hold.

use arbitrary::{Arbitrary as _, Result, Unstructured};

use crate::round::{ArbiterClock, Shown};

/// How far the clocks may drift apart, in millionths of the time that passes, and how late a second may change, in
/// milliseconds: what the arbiter's clock allows for.
const DRIFT_PPM: u64 = 200;
const LATE_MS: u64 = 20;

/// Shows answers, true ones and others.
pub fn run(data: &[u8]) {
    let _ = show(&mut Unstructured::new(data));
}

fn show(u: &mut Unstructured<'_>) -> Result<()> {
    let (mut clock, mut is_true) = (ArbiterClock::new(), true);
    // By how much the arbiter's clock is ahead of the monotonic one.
    let mut ahead_ms: u64 = u.int_in_range(0..=4_000_000_000_000)?;
    let mut mono_ms = u64::from(u32::arbitrary(u)?);
    while !u.is_empty() {
        let passed_ms = u64::from(u32::arbitrary(u)?);
        mono_ms += passed_ms;
        let apart_ms = (passed_ms * DRIFT_PPM / 1_000_000).cast_signed();
        ahead_ms = ahead_ms.saturating_add_signed(*u.choose(&[0, apart_ms, -apart_ms])?);
        let sent_ms = mono_ms;
        mono_ms += u64::from(u16::arbitrary(u)?);
        let at_ms = u.int_in_range(sent_ms..=mono_ms)?;
        if u.ratio(7, 8)? {
            let second = (ahead_ms + at_ms).saturating_sub(u.int_in_range(0..=LATE_MS)?) / 1000;
            let more = if u.ratio(3, 4)? { 0 } else { u.int_in_range(0..=60)? };
            let second = second.saturating_sub(u.int_in_range(0..=more)?);
            clock.saw_from(Shown { sent_ms, received_ms: mono_ms, second }, more);
        } else {
            is_true = false;
            clock.saw(Shown {
                sent_ms: u64::arbitrary(u)?,
                received_ms: u64::arbitrary(u)?,
                second: u64::arbitrary(u)?,
            });
        }
        for asked_ms in [mono_ms, u64::arbitrary(u)?] {
            let local_ms = u64::arbitrary(u)?;
            let (wall_ms, skew_ms) = (clock.wall(local_ms, asked_ms), clock.skew_ms(local_ms, asked_ms));
            let Some((low, high)) = clock.bounds(asked_ms) else { continue };
            assert!(low <= high);
            assert!((low..=high).contains(&wall_ms), "{low} <= {wall_ms} <= {high}");
            assert!(skew_ms != 0 || wall_ms == local_ms, "a clock that can be right is moved");
        }
        if is_true {
            let (low, high) = clock.bounds(mono_ms).expect("an answer was shown");
            assert!((low..=high).contains(&(ahead_ms + mono_ms)), "{low} <= {} <= {high}", ahead_ms + mono_ms);
        }
    }
    Ok(())
}
