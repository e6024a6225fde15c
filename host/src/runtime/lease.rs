//! How long a run may act: a lease that is extended by renewals, and lost for good once it is revoked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::clock::{boot_ms, millis};

/// The end of a revoked lease, which no extension moves.
const REVOKED: u64 = 0;

/// A claim's right to act, until a time on the clock of [`boot_ms`]. Clones share it.
#[derive(Debug, Clone)]
pub struct Lease(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    until: AtomicU64,
    revoked: Notify,
}

/// The lease has run out or was revoked: nothing may be done in its name any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease is lost")]
pub struct LeaseLost;

impl Lease {
    /// A lease that stands until the given time, in milliseconds of [`boot_ms`].
    pub fn until(boot_ms: u64) -> Self {
        Self(Arc::new(Shared { until: AtomicU64::new(boot_ms), revoked: Notify::new() }))
    }

    /// A lease that stands for this long from now.
    pub fn lasting(time: Duration) -> Self {
        Self::until(boot_ms().saturating_add(millis(time)))
    }

    /// A lease that never runs out, for a run without arbitration.
    pub fn unlimited() -> Self {
        Self::until(u64::MAX)
    }

    /// Moves the end, after a renewal; never back, and never once revoked.
    pub fn extend(&self, boot_ms: u64) {
        let moved = |until: u64| (until != REVOKED && until < boot_ms).then_some(boot_ms);
        // Refused where there is nothing to move: that is the answer wanted.
        let _ = self.0.until.fetch_update(Ordering::AcqRel, Ordering::Acquire, moved);
    }

    /// Ends it now, for good: somebody else has the round.
    pub fn revoke(&self) {
        self.0.until.store(REVOKED, Ordering::Release);
        self.0.revoked.notify_waiters();
    }

    /// Whether it still stands.
    ///
    /// # Errors
    /// It has run out or was revoked.
    pub fn check(&self) -> Result<(), LeaseLost> {
        if boot_ms() < self.0.until.load(Ordering::Acquire) { Ok(()) } else { Err(LeaseLost) }
    }

    /// How long it still stands; zero when lost.
    pub fn remaining(&self) -> Duration {
        Duration::from_millis(self.0.until.load(Ordering::Acquire).saturating_sub(boot_ms()))
    }

    /// Waits for a revocation that comes after this call. Running out does not end the wait.
    pub(super) fn revoked(&self) -> Notified<'_> {
        self.0.revoked.notified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_stands_until_its_end() {
        assert_eq!(Lease::until(boot_ms() + 60_000).check(), Ok(()));
        assert_eq!(Lease::until(boot_ms()).check(), Err(LeaseLost));
        assert_eq!(Lease::until(boot_ms()).remaining(), Duration::ZERO);
        assert_eq!(Lease::unlimited().check(), Ok(()));
    }

    #[test]
    fn an_extension_never_moves_the_end_back() {
        let lease = Lease::until(boot_ms() + 60_000);
        lease.extend(boot_ms() + 10);
        assert!(lease.remaining() > Duration::from_secs(50));
        lease.extend(boot_ms() + 600_000);
        assert!(lease.remaining() > Duration::from_secs(500));
    }

    #[test]
    fn a_revoked_lease_cannot_be_extended() {
        let lease = Lease::lasting(Duration::from_mins(1));
        lease.clone().revoke();
        lease.extend(boot_ms() + 600_000);
        assert_eq!(lease.check(), Err(LeaseLost));
    }
}
