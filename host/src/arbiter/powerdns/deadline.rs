//! A moment after which nothing more of a request is done, on a clock that counts through sleep.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::clock::boot_ms;

/// A moment on the clock of [`boot_ms`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    at_ms: u64,
}

impl Deadline {
    /// So long from now.
    pub(super) fn after(wait: Duration) -> Self {
        Self { at_ms: boot_ms().saturating_add(millis(wait)) }
    }

    /// This long before it; at the clock's start at the earliest.
    pub(super) fn earlier(self, by: Duration) -> Self {
        Self { at_ms: self.at_ms.saturating_sub(millis(by)) }
    }

    fn left(self) -> Duration {
        Duration::from_millis(self.at_ms.saturating_sub(boot_ms()))
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
