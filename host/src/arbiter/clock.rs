//! The clock of one arbiter's server, shared by all the jobs there: what its answers showed, and the time to go by.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::{boot_ms, wall_ms};
use crate::round::contender::Now;
use crate::round::{ArbiterClock, Shown};

/// A local clock that is off by no more, in milliseconds, is not worth a word.
const WORTH_A_WORD_MS: u64 = 500;

/// By how much a skew changes before it is told again, in milliseconds.
const CHANGED_MS: u64 = 1_000;

/// How long a server that has not shown its clock is not asked for it again, in milliseconds.
const ASK_AGAIN_MS: u64 = 60_000;

/// What a server showed of its wall clock.
#[derive(Debug)]
pub struct Clock {
    place: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    shown: ArbiterClock,
    told: Told,
    /// When it was last asked for, on the monotonic clock.
    asked_ms: Option<u64>,
}

/// What was said of the skew: how far the local clock was ahead, at least and at most, in milliseconds; none while it is
/// right.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Told(Option<(i128, i128)>);

/// What there is to say of the local clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It is off.
    Off {
        /// How far it is ahead of the arbiter's, in milliseconds; negative where it is behind.
        ahead_ms: i64,
        /// By how much that may be wrong.
        within_ms: u64,
    },
    /// It was off, and is right again.
    Right,
}

impl Clock {
    /// The clock of the server at this place, of which nothing is known yet.
    pub fn new(place: String) -> Self {
        Self { place, state: Mutex::default() }
    }

    /// The server's address.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Takes in what an answer showed, on the clock of [`boot_ms`].
    pub fn saw(&self, answer: Shown) {
        self.saw_from(answer, 0);
    }

    /// Takes in an answer that showed less: the server's clock was in this second, or in one of so many after it.
    pub fn saw_from(&self, answer: Shown, more: u64) {
        self.state().shown.saw_from(answer, more);
    }

    /// Whether to ask for it: no answer has shown it yet, and this was not so within the last minute.
    pub fn is_wanted(&self) -> bool {
        let (mut state, now_ms) = (self.state(), boot_ms());
        if state.shown.bounds(now_ms).is_some() || state.asked_ms.is_some_and(|at| now_ms < at + ASK_AGAIN_MS) {
            return false;
        }
        state.asked_ms = Some(now_ms);
        true
    }

    /// The time to go by: this machine's clock, moved where the arbiter's says that it is wrong.
    pub fn now(&self) -> Now {
        let mono_ms = boot_ms();
        Now { wall_ms: self.state().shown.wall(wall_ms(), mono_ms), mono_ms }
    }

    /// How far this machine's clock is ahead of the time to go by, in milliseconds: 0 where it can be right.
    pub fn ahead_ms(&self) -> i64 {
        ahead(&self.state().shown, wall_ms(), boot_ms())
    }

    /// What there is to say of this machine's clock: once when it is found to be off by more than half a second, again when
    /// that has changed by more than a second, and once when it is right again.
    pub fn news(&self) -> Option<News> {
        let mut state = self.state();
        let State { shown, told, .. } = &mut *state;
        told.news(shown, wall_ms(), boot_ms())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ahead(shown: &ArbiterClock, local_ms: u64, mono_ms: u64) -> i64 {
    let ahead = i128::from(local_ms) - i128::from(shown.wall(local_ms, mono_ms));
    i64::try_from(ahead).unwrap_or(if ahead < 0 { i64::MIN } else { i64::MAX })
}

impl Told {
    fn news(&mut self, shown: &ArbiterClock, local_ms: u64, mono_ms: u64) -> Option<News> {
        let (low, high) = shown.bounds(mono_ms)?;
        let local = i128::from(local_ms);
        let now = (local - i128::from(high), local - i128::from(low));
        match shown.skew_ms(local_ms, mono_ms).unsigned_abs() {
            0 => self.0.take().map(|_| News::Right),
            // Bounds that become narrower within what was said are no change.
            skew if skew > WORTH_A_WORD_MS && self.0.is_none_or(|told| apart(told, now) > i128::from(CHANGED_MS)) => {
                self.0 = Some(now);
                let within_ms = (high - low).div_ceil(2);
                Some(News::Off { ahead_ms: ahead(shown, local_ms, mono_ms), within_ms })
            }
            _ => None,
        }
    }
}

/// How far two ranges are from each other: 0 where they touch.
fn apart(one: (i128, i128), other: (i128, i128)) -> i128 {
    (one.0.max(other.0) - one.1.min(other.1)).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_780_000_000_000;

    /// Answers at these moments of an arbiter whose clock shows `NOW` when the monotonic one shows 0, and what is said
    /// after each with a local clock that is off by so much.
    fn said(off_ms: &[i64]) -> Vec<Option<News>> {
        let (mut shown, mut told) = (ArbiterClock::new(), Told::default());
        let mut mono_ms = 100;
        let say = |off: &i64| {
            mono_ms += 370;
            shown.saw(Shown { sent_ms: mono_ms, received_ms: mono_ms, second: (NOW + mono_ms) / 1000 });
            told.news(&shown, (NOW + mono_ms).saturating_add_signed(*off), mono_ms)
        };
        off_ms.iter().map(say).collect()
    }

    #[test]
    fn a_skew_is_said_once_while_the_estimate_becomes_better() {
        let said = said(&[3_600_000; 20]);
        let [Some(News::Off { ahead_ms, within_ms }), rest @ ..] = &said[..] else { panic!("{said:?}") };
        assert!(ahead_ms.abs_diff(3_600_000) <= *within_ms && *within_ms < 600, "{ahead_ms} {within_ms}");
        assert!(rest.iter().all(Option::is_none), "{said:?}");
    }

    #[test]
    fn a_skew_is_said_again_when_it_has_changed_by_much_and_when_it_is_over() {
        let said = said(&[-60_000, -60_000, -60_500, -90_000, -90_000, 0, 0, 0]);
        let kinds: Vec<&str> = said
            .iter()
            .map(|news| match news {
                Some(News::Off { ahead_ms, .. }) if *ahead_ms < 0 => "behind",
                Some(News::Off { .. }) => "ahead",
                Some(News::Right) => "right",
                None => "",
            })
            .collect();
        assert_eq!(kinds, ["behind", "", "", "behind", "", "right", "", ""]);
    }

    #[test]
    fn a_clock_that_keeps_time_is_not_spoken_of() {
        assert!(said(&[3, -4, 0, 12]).iter().all(Option::is_none));
    }

    #[test]
    fn a_clock_whose_server_has_shown_nothing_is_this_machines() {
        let clock = Clock::new("192.0.2.1:53".to_owned());
        assert!(clock.is_wanted() && !clock.is_wanted());
        assert_eq!((clock.news(), clock.ahead_ms()), (None, 0));
        assert!(clock.now().wall_ms.abs_diff(wall_ms()) < 5_000);
    }

    #[test]
    fn a_clock_that_was_shown_is_gone_by() {
        let clock = Clock::new("192.0.2.1:53".to_owned());
        let hour_on = wall_ms() / 1000 + 3_600;
        clock.saw(Shown { sent_ms: boot_ms(), received_ms: boot_ms(), second: hour_on });
        assert!(!clock.is_wanted());
        assert!(clock.now().wall_ms.abs_diff(hour_on * 1000) < 10_000);
        assert!(clock.ahead_ms() < -3_590_000);
        assert!(matches!(clock.news(), Some(News::Off { .. })));
        assert_eq!(clock.news(), None);
    }
}
