//! A moment after which nothing more of a request is done, on a clock that counts through sleep.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// A moment on a clock that never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline(Duration);

impl Deadline {
    /// So long from now.
    pub(super) fn after(wait: Duration) -> Self {
        Self(since_boot() + wait)
    }

    /// This long before it; at the clock's start at the earliest.
    pub(super) fn earlier(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }

    fn left(self) -> Duration {
        self.0.saturating_sub(since_boot())
    }

    /// What comes of this before the deadline; none if it is not done by then.
    ///
    /// The clock is looked at before every step: a process that was frozen, or a machine that slept, until after the deadline
    /// takes no further step, even if all that it had waited for has come in the meantime.
    pub(super) async fn bound<F: Future>(self, doing: F) -> Option<F::Output> {
        let mut doing = pin!(doing);
        let mut sleep = pin!(tokio::time::sleep(self.left()));
        poll_fn(|context| {
            if self.left().is_zero() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(done) = doing.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            sleep.as_mut().poll(context).map(|()| None)
        })
        .await
    }
}

/// The time since the machine was started, counting through sleep where the system has such a clock.
#[cfg(unix)]
fn since_boot() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = rustix::time::ClockId::Monotonic;
    rustix::time::clock_gettime(clock).try_into().unwrap_or_default()
}

/// The time since this was first asked for.
#[cfg(not(unix))]
fn since_boot() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn what_is_done_in_time_is_done() {
        assert_eq!(Deadline::after(Duration::from_secs(60)).bound(ready(1)).await, Some(1));
    }

    #[tokio::test]
    async fn what_is_not_done_in_time_is_given_up() {
        assert_eq!(Deadline::after(Duration::from_millis(10)).bound(pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn nothing_is_begun_after_the_deadline_even_what_would_take_no_time() {
        let mut begun = false;
        let late = Deadline::after(Duration::from_secs(60)).earlier(Duration::from_secs(60));
        assert_eq!(late.bound(async { begun = true }).await, None);
        assert!(!begun);
    }
}
