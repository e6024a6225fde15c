//! The arbiter's wall clock, as far as its answers show it: bounds that always hold, and a local clock that is wrong is
//! moved between them. Pure.

use super::MAX_TIME;

/// How far the arbiter's clock and the local monotonic one may drift apart, in millionths of the time that passes.
const DRIFT_PPM: i128 = 200;

/// How late the second that an arbiter shows may change, in milliseconds: many read a clock that the system moves on at
/// its ticks only.
const LATE_MS: i128 = 20;

/// What one answer of the arbiter showed of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// When it was asked, on the local monotonic clock, in milliseconds.
    pub sent_ms: u64,
    /// When the answer was here, on the same clock.
    pub received_ms: u64,
    /// What the arbiter's clock showed at some moment between the two: whole seconds since the Unix epoch, rounded down.
    pub second: u64,
}

/// An estimate of the arbiter's wall clock from any number of its answers.
///
/// Every answer bounds the offset between the arbiter's clock and the local monotonic one: to a second, the time that the
/// answer took, and 20 ms for the arbiter's own ticks. The bounds of all answers together hold, widened by 200 millionths
/// of the time that has passed since (12 ms a minute). An answer that contradicts them means that one of the clocks was
/// set or stood still: the estimate starts anew with it.
///
/// What it is worth:
/// - a local clock between the bounds is not touched; so an agent that keeps time goes on with its own milliseconds;
/// - one that is outside by no more than half their distance is moved to the nearest bound, which never makes it worse;
/// - any other is moved to the middle between the bounds, those 20 ms left out, so it is wrong by about half their distance
///   at most: after the first answer by half a second and half the time that it took;
/// - an agent asks when its own clock, as moved, shows a whole second and a little more (a job's due time and its
///   `spread`). The second in that answer tells which half is right, so each such answer halves the error, down to
///   about the time from the whole second to the answer, and those 20 ms;
/// - an answer that was on its way for minutes has wide bounds, and does no harm.
///
/// Any number is taken without overflow. A second from the year 10000 on is no time, and nor is an answer that was there
/// before it was asked for: both are passed over.
#[derive(Debug, Clone, Default)]
pub struct ArbiterClock {
    known: Option<Bounds>,
}

/// The least and the largest that the arbiter's clock less the monotonic one can be, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    low: i128,
    high: i128,
    /// The moment on the monotonic clock at which they hold; they are wider before and after.
    at_ms: u64,
}

impl Bounds {
    /// None for an answer that cannot be.
    fn shown(answer: Shown) -> Option<Self> {
        let Shown { sent_ms, received_ms, second } = answer;
        if second >= MAX_TIME || received_ms < sent_ms {
            return None;
        }
        let second_ms = i128::from(second) * 1000;
        let drift = drift(sent_ms, received_ms);
        Some(Self {
            // A reading of the monotonic clock has lost a part of its last millisecond.
            low: second_ms - i128::from(received_ms) - 1 - drift,
            high: second_ms + 1000 + LATE_MS - i128::from(sent_ms) + drift,
            at_ms: received_ms,
        })
    }

    fn at(self, mono_ms: u64) -> Self {
        let drift = drift(self.at_ms, mono_ms);
        Self { low: self.low - drift, high: self.high + drift, at_ms: mono_ms }
    }

    /// What both say at the moment of the later one; none if they contradict each other.
    fn and(self, other: Self) -> Option<Self> {
        let at_ms = self.at_ms.max(other.at_ms);
        let (one, other) = (self.at(at_ms), other.at(at_ms));
        let (low, high) = (one.low.max(other.low), one.high.min(other.high));
        (low <= high).then_some(Self { low, high, at_ms })
    }
}

/// How far clocks may drift apart from one moment to another, rounded up.
fn drift(from_ms: u64, to_ms: u64) -> i128 {
    (i128::from(from_ms.abs_diff(to_ms)) * DRIFT_PPM + 999_999) / 1_000_000
}

impl ArbiterClock {
    /// Nothing is known yet: every local clock is right.
    pub const fn new() -> Self {
        Self { known: None }
    }

    /// Takes in what an answer showed. Answers may come in any order.
    pub fn saw(&mut self, answer: Shown) {
        self.saw_from(answer, 0);
    }

    /// Takes in an answer that showed less: the arbiter's clock was in this second, or in one of so many after it.
    pub fn saw_from(&mut self, answer: Shown, more: u64) {
        if let Some(mut new) = Bounds::shown(answer) {
            new.high += i128::from(more) * 1000;
            self.known = Some(self.known.and_then(|known| known.and(new)).unwrap_or(new));
        }
    }

    /// The least and the largest that the arbiter's clock can show at this moment of the monotonic clock, in milliseconds
    /// since the Unix epoch; none while nothing is known.
    pub fn bounds(&self, mono_ms: u64) -> Option<(u64, u64)> {
        self.between(mono_ms).map(|(low, high)| (unsigned(low), unsigned(high)))
    }

    /// The time to go by, in milliseconds since the Unix epoch: the local wall clock where it can be right; the nearest that
    /// can be where it is about right; else the middle of what the arbiter's can show if its seconds change in time.
    ///
    /// It may jump in either direction, as a wall clock may.
    pub fn wall(&self, local_wall_ms: u64, mono_ms: u64) -> u64 {
        let Some((low, high)) = self.between(mono_ms) else { return local_wall_ms };
        let local = i128::from(local_wall_ms);
        let nearest = local.clamp(low, high);
        if (local - nearest).abs() <= (high - low) / 2 {
            return unsigned(nearest);
        }
        // Most arbiters' seconds change in time: else every clock that is moved would be early by half of this, and win
        // more rounds than its share.
        let high = (high - LATE_MS).max(low);
        unsigned(low + (high - low) / 2)
    }

    /// How far the local wall clock is outside of what the arbiter's can show, in milliseconds: positive where it is ahead,
    /// 0 where it can be right or nothing is known.
    pub fn skew_ms(&self, local_wall_ms: u64, mono_ms: u64) -> i64 {
        let Some((low, high)) = self.between(mono_ms) else { return 0 };
        let local = i128::from(local_wall_ms);
        let skew = local - local.clamp(low, high);
        i64::try_from(skew).unwrap_or(if skew < 0 { i64::MIN } else { i64::MAX })
    }

    fn between(&self, mono_ms: u64) -> Option<(i128, i128)> {
        let bounds = self.known?.at(mono_ms);
        let mono = i128::from(mono_ms);
        Some((bounds.low + mono, bounds.high + mono + 1))
    }
}

fn unsigned(ms: i128) -> u64 {
    u64::try_from(ms).unwrap_or(if ms < 0 { 0 } else { u64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some time in 2026, in milliseconds.
    const NOW: u64 = 1_780_000_000_000;

    const HOUR: u64 = 3_600_000;

    fn shown(sent_ms: u64, received_ms: u64, second: u64) -> Shown {
        Shown { sent_ms, received_ms, second }
    }

    /// An answer of an arbiter whose clock shows `NOW` when the monotonic one shows 0, looked at half way.
    fn answer(sent_ms: u64, received_ms: u64) -> Shown {
        shown(sent_ms, received_ms, (NOW + sent_ms.midpoint(received_ms)) / 1000)
    }

    #[test]
    fn while_nothing_is_known_every_local_clock_is_right() {
        let clock = ArbiterClock::new();
        for local in [0, NOW, u64::MAX] {
            assert_eq!((clock.wall(local, 7), clock.skew_ms(local, 7)), (local, 0));
        }
        assert_eq!(clock.bounds(7), None);
    }

    #[test]
    fn a_good_clock_keeps_its_own_milliseconds() {
        let mut clock = ArbiterClock::new();
        for at in (0..100_000).step_by(777) {
            clock.saw(answer(at, at + 3));
            assert_eq!((clock.wall(NOW + at + 3, at + 3), clock.skew_ms(NOW + at + 3, at + 3)), (NOW + at + 3, 0));
        }
    }

    #[test]
    fn a_clock_that_is_about_right_is_never_made_worse() {
        let mut clock = ArbiterClock::new();
        clock.saw(answer(400, 410));
        for off in -500..=500i64 {
            let local = (NOW + 410).saturating_add_signed(off);
            let moved = clock.wall(local, 410);
            assert!(moved.abs_diff(NOW + 410) <= off.unsigned_abs(), "{off} ms: {moved}");
        }
    }

    #[test]
    fn a_clock_that_is_an_hour_off_is_right_to_half_a_second_after_one_answer() {
        for local in [NOW + HOUR, NOW - HOUR] {
            let mut clock = ArbiterClock::new();
            clock.saw(answer(400, 410));
            assert!(clock.wall(local + 410, 410).abs_diff(NOW + 410) <= 520);
            let skew = clock.skew_ms(local + 410, 410);
            assert_eq!(skew > 0, local > NOW);
            assert!(skew.unsigned_abs().abs_diff(HOUR) <= 1020, "{skew}");
        }
    }

    #[test]
    fn each_answer_at_a_whole_second_of_its_own_halves_the_error() {
        for begun in (0..1000).step_by(37) {
            let mut clock = ArbiterClock::new();
            let mut mono = begun;
            let local = |mono: u64| NOW + HOUR + mono;
            for asked in 0..10 {
                clock.saw(answer(mono, mono + 4));
                mono += 4;
                let error = clock.wall(local(mono), mono).abs_diff(NOW + mono);
                // One second, halved by each answer, down to what an answer cannot tell: its own time and the arbiter's ticks.
                assert!(error <= (500 >> asked) + 60, "after {asked} answers: {error} ms");
                mono += 1000 - clock.wall(local(mono), mono) % 1000 + 10;
            }
        }
    }

    #[test]
    fn an_arbiter_whose_clock_was_set_is_believed_anew() {
        let mut clock = ArbiterClock::new();
        clock.saw(answer(0, 10));
        let later = NOW + HOUR;
        clock.saw(shown(20, 30, later / 1000));
        assert!(clock.wall(NOW + 30, 30).abs_diff(later) <= 1_050);
        clock.saw(answer(40, 50));
        assert_eq!(clock.wall(NOW + 50, 50), NOW + 50);
    }

    #[test]
    fn bounds_grow_with_the_time_that_passes_and_the_next_answer_narrows_them() {
        let width = |clock: &ArbiterClock, mono| clock.bounds(mono).map(|(low, high)| high - low).unwrap();
        let mut clock = ArbiterClock::new();
        clock.saw(answer(0, 0));
        let first = width(&clock, 0);
        assert_eq!(width(&clock, 60_000), first + 24);
        clock.saw(answer(60_500, 60_500));
        assert!(width(&clock, 60_500) < first);
    }

    #[test]
    fn an_answer_that_was_on_its_way_for_minutes_does_no_harm() {
        let mut clock = ArbiterClock::new();
        clock.saw(answer(0, 10));
        let before = clock.bounds(300_000).unwrap();
        clock.saw(shown(0, 300_000, NOW / 1000 + 299));
        assert_eq!(clock.bounds(300_000).unwrap(), before);
        // Nor where it is the only one.
        let mut clock = ArbiterClock::new();
        clock.saw(shown(0, 300_000, NOW / 1000 + 299));
        assert_eq!(clock.wall(NOW + 300_000, 300_000), NOW + 300_000);
    }

    #[test]
    fn answers_may_come_in_any_order() {
        let answers = [answer(0, 10), answer(300, 310), answer(620, 700)];
        let (mut one, mut other) = (ArbiterClock::new(), ArbiterClock::new());
        for answer in &answers {
            one.saw(*answer);
        }
        for answer in answers.iter().rev() {
            other.saw(*answer);
        }
        let (one, other) = (one.bounds(700).unwrap(), other.bounds(700).unwrap());
        assert!(one.0.abs_diff(other.0) <= 2 && one.1.abs_diff(other.1) <= 2, "{one:?} {other:?}");
    }

    #[test]
    fn what_is_no_time_or_no_answer_is_passed_over() {
        let mut clock = ArbiterClock::new();
        clock.saw(shown(0, 10, u64::MAX));
        clock.saw(shown(0, 10, MAX_TIME));
        clock.saw(shown(10, 9, NOW / 1000));
        assert_eq!(clock.bounds(10), None);
    }

    #[test]
    fn a_local_clock_that_jumps_is_moved_back_at_once() {
        let mut clock = ArbiterClock::new();
        clock.saw(answer(0, 10));
        for local in [0, 1, NOW - 86_400_000, NOW + 86_400_000, u64::MAX] {
            assert!(clock.wall(local, 1_000).abs_diff(NOW + 1_000) <= 520, "{local}");
        }
        assert_eq!(clock.wall(NOW + 1_000, 1_000), NOW + 1_000);
        assert_eq!(clock.skew_ms(u64::MAX, 1_000), i64::MAX);
    }
}
