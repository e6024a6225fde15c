//! The estimate of the arbiter's clock: whatever answers come when, the truth is between its bounds, and nothing overflows.

use proptest::collection::vec;
use proptest::prelude::*;
use soloist::round::{ArbiterClock, Shown};

/// Some time in 2026, in milliseconds.
const NOW: u64 = 1_780_000_000_000;

/// One exchange: the wait before it, how long the request and its answer took, and how late the shown second changed, all in
/// milliseconds.
type Exchange = (u64, u64, u64, u64);

fn exchanges() -> impl Strategy<Value = Vec<Exchange>> {
    let took = || prop_oneof![8 => 0..60u64, 2 => 0..2_000u64, 1 => 0..300_000u64];
    vec((prop_oneof![0..2_000u64, 0..90_000u64], took(), took(), 0..20u64), 1..60)
}

/// How far the local clock is off, in milliseconds: about right, as wrong as a slow answer's bounds are wide, and a day wrong.
fn off() -> impl Strategy<Value = i64> {
    prop_oneof![-2_000..2_000i64, -300_000..300_000i64, -90_000_000..90_000_000i64]
}

/// What the arbiter's clock shows when the monotonic one shows `mono`: `ppm` millionths faster or slower.
fn truth(mono: u64, ppm: i64) -> u64 {
    NOW.saturating_add_signed(i64::try_from(mono).unwrap_or(i64::MAX) * (1_000_000 + ppm) / 1_000_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_arbiters_clock_is_always_between_the_bounds(
        exchanges in exchanges(), ppm in -199..200i64, off in off(),
    ) {
        let (mut clock, mut mono) = (ArbiterClock::new(), 5_000_000u64);
        for (wait, there, back, late) in exchanges {
            let sent_ms = mono + wait;
            mono = sent_ms + there + back;
            let second = (truth(sent_ms + there, ppm) - late) / 1000;
            clock.saw(Shown { sent_ms, received_ms: mono, second });
            for at in [mono, mono + 30_000] {
                let (low, high) = clock.bounds(at).expect("an answer came");
                prop_assert!((low..=high).contains(&truth(at, ppm)), "{low} {} {high}", truth(at, ppm));
                let local = truth(at, ppm).saturating_add_signed(off);
                let (wall, skew) = (clock.wall(local, at), clock.skew_ms(local, at));
                prop_assert!((low..=high).contains(&wall));
                // A clock that is about right goes to the nearest bound and gets no worse, any other to the middle.
                let error = wall.abs_diff(truth(at, ppm));
                if skew.unsigned_abs() <= (high - low) / 2 {
                    prop_assert!(error <= off.unsigned_abs(), "{error}");
                } else {
                    prop_assert!(error <= (high - low).div_ceil(2) + 11, "{error}");
                }
                prop_assert_eq!(wall == local, skew == 0);
                prop_assert!(skew == 0 || (skew > 0) == (off > 0));
                prop_assert!(skew.unsigned_abs() <= off.unsigned_abs());
            }
            // The truth itself is never touched.
            prop_assert_eq!(clock.wall(truth(mono, ppm), mono), truth(mono, ppm));
        }
    }

    #[test]
    fn any_numbers_are_taken(
        answers in vec((any::<u64>(), any::<u64>(), prop_oneof![any::<u64>(), 0..300_000_000_000u64]), 0..20),
        local in any::<u64>(), mono in any::<u64>(),
    ) {
        let mut clock = ArbiterClock::new();
        for (sent_ms, received_ms, second) in answers {
            clock.saw(Shown { sent_ms, received_ms, second });
            let wall = clock.wall(local, mono);
            prop_assert!(clock.bounds(mono).is_none_or(|(low, high)| (low..=high).contains(&wall)));
            let _ = clock.skew_ms(local, mono);
        }
    }
}
