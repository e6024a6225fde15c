//! Following what is far away: asked again shortly before each round is due, and later and later while it fails.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Digest;
use super::download::Download;
use super::mailbox::Mailbox;
use super::oci::Pull;
use super::pointer::Aim;
use super::source::Unavailable;
use super::trust::{Distrust, Trust, Trusted};

/// How long before a round is due the source is asked, where the time left allows it.
const LEAD: Duration = Duration::from_secs(5);

/// The least time between two questions.
const PACE: Duration = Duration::from_secs(1);

/// The longest time between two questions to a source that fails; the first is [`PACE`], and each twice the one before.
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// The longest wait that a server may ask for with `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(10);

/// How often a module whose signature does not fit is looked at before it is refused: somebody may be about to put the other half.
pub(super) const LOOKS: u32 = 3;

/// The longest sleep by the wall clock, which may be set, or stand still while the machine sleeps.
const NAP: Duration = Duration::from_secs(30);

/// A round to come, and when to look for a new module for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    due: SystemTime,
    check: SystemTime,
}

impl Due {
    /// The check is [`LEAD`] before the round, or after half of the time that is left, whichever is later.
    pub(super) fn new(due: SystemTime, now: SystemTime) -> Self {
        let left = due.duration_since(now).unwrap_or_default();
        Self { due, check: due - LEAD.min(left / 2) }
    }

    /// How long it is until the check; zero once it is time.
    fn left(&self) -> Duration {
        self.check.duration_since(SystemTime::now()).unwrap_or_default()
    }

    /// Whether it is time for the check.
    fn is_time(&self) -> bool {
        self.left().is_zero()
    }

    /// Whether this is the same round: told again, it is no reason to ask again.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

/// Why there is no module to be had now.
#[derive(Debug)]
pub(super) enum Failure {
    /// The source gives none; the server may say for how long.
    Unavailable(Unavailable, Option<Duration>),
    /// The source is well, and what it says leads to no module.
    Senseless(Unavailable),
    /// The source gives one that is not to be trusted.
    Distrust(Distrust),
}

impl From<Unavailable> for Failure {
    fn from(reason: Unavailable) -> Self {
        Self::Unavailable(reason, None)
    }
}

impl From<Distrust> for Failure {
    fn from(distrust: Distrust) -> Self {
        Self::Distrust(distrust)
    }
}

/// What a source says when it is asked.
#[derive(Debug)]
pub(super) enum Found<T> {
    /// A module that it did not give before.
    New(T),
    /// What it gave last.
    Same,
    /// The module that was trusted last, without giving it again.
    Current(Digest),
}

/// A source that is asked over a network.
#[derive(Debug)]
pub(super) enum Remote {
    Url(Download),
    Oci(Box<Pull>),
    Pointer(Box<Aim>),
}

impl Remote {
    /// Asks for the module. `current` is the digest of the one that was trusted last, which need not be fetched.
    async fn find(&mut self, trust: &Trust, current: Option<Digest>) -> Result<Found<Bytes>, Failure> {
        match self {
            Self::Url(url) => url.find().await,
            Self::Oci(image) => image.find(trust, current).await,
            Self::Pointer(aim) => aim.find(trust, current).await,
        }
    }

    /// Asks for the signatures of the module that was given last.
    async fn signatures(&mut self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Url(url) => url.signatures().await,
            Self::Oci(image) => image.signatures().await,
            Self::Pointer(aim) => aim.signatures().await,
        }
    }

    /// Whether a module is the one that the source means.
    fn means(&self, digest: Digest) -> Result<(), Failure> {
        match self {
            Self::Url(_) | Self::Oci(_) => Ok(()),
            Self::Pointer(aim) => aim.means(digest),
        }
    }
}

/// A remote source, and what came of asking it.
#[derive(Debug)]
pub(super) struct Seeker {
    remote: Remote,
    trust: Trust,
    /// A module that was fetched and could not be trusted yet: its signature alone is asked for again.
    held: Option<Bytes>,
    current: Option<Digest>,
}

impl Seeker {
    pub(super) const fn new(remote: Remote, trust: Trust) -> Self {
        Self { remote, trust, held: None, current: None }
    }

    /// Asks once. What it gives is trusted.
    pub(super) async fn ask(&mut self) -> Result<Found<Trusted>, Failure> {
        match self.remote.find(&self.trust, self.current).await? {
            Found::New(bytes) => self.held = Some(bytes),
            Found::Same => {}
            Found::Current(digest) => {
                self.held = None;
                return Ok(Found::Current(digest));
            }
        }
        let Some(bytes) = self.held.clone() else { return Ok(Found::Same) };
        let signatures = if self.trust.wants_signature() { self.remote.signatures().await? } else { Vec::new() };
        let trusted = check(self.trust.clone(), bytes, signatures).await?;
        self.remote.means(trusted.digest())?;
        self.held = None;
        self.current = Some(trusted.digest());
        Ok(Found::New(trusted))
    }

    /// Asks until a module and its signature fit, [`LOOKS`] times at most.
    pub(super) async fn ask_patiently(&mut self) -> Result<Trusted, Failure> {
        let mut looks = 1;
        loop {
            match self.ask().await {
                Ok(Found::New(trusted)) => return Ok(trusted),
                Ok(Found::Same | Found::Current(_)) => return Err(Unavailable::Unasked.into()),
                Err(Failure::Distrust(distrust)) if distrust.is_of_signature() && looks < LOOKS => looks += 1,
                Err(failure) => return Err(failure),
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

/// [`Trust::check`] where it may take its time: 64 MiB take a while.
pub(super) async fn check(trust: Trust, bytes: Bytes, signatures: Vec<String>) -> Result<Trusted, Failure> {
    let checked = tokio::task::spawn_blocking(move || trust.check(bytes, &signatures)).await;
    Ok(checked.map_err(|_| Unavailable::Ending)??)
}

/// Asks now, and then before each round that it is told of; puts what it gets into the mailbox.
pub(super) async fn follow(mut seeker: Seeker, mailbox: Arc<Mailbox>, mut dues: watch::Receiver<Option<Due>>) {
    let mut answered = None;
    let (mut failures, mut doubts): (u32, u32) = (0, 0);
    loop {
        let start = Instant::now();
        // This question stands for that round; one that is told meanwhile has a question of its own.
        let told = *dues.borrow_and_update();
        match seeker.ask().await {
            Ok(found) => {
                mailbox.put_found(found);
                (failures, doubts) = (0, 0);
                answered = told.filter(Due::is_time).or(answered);
                if wait_for_check(&mut dues, answered).await.is_err() {
                    return;
                }
            }
            Err(Failure::Unavailable(reason, retry_after)) => {
                mailbox.put(Err(reason));
                (failures, doubts) = (failures.saturating_add(1), 0);
                tokio::time::sleep_until(start + pause(failures, retry_after)).await;
            }
            Err(Failure::Senseless(reason)) => {
                mailbox.put(Err(reason));
                (failures, doubts) = (0, doubts.saturating_add(1));
                wait_in_doubt(&mut dues, told, start + backoff(doubts)).await;
            }
            Err(Failure::Distrust(distrust)) => {
                (failures, doubts) = (0, doubts.saturating_add(1));
                if distrust.is_of_signature() && doubts < LOOKS {
                    tracing::debug!(digest = distrust.digest.short(), "{}: looking again", distrust.why);
                } else {
                    mailbox.put_refused(distrust);
                }
                wait_in_doubt(&mut dues, told, start + backoff(doubts)).await;
            }
        }
        tokio::time::sleep_until(start + PACE).await;
    }
}

/// Waits until it is time to ask for another round than this one, but no longer than until then: whom we ask is well, so that a
/// round is reason enough to ask again.
async fn wait_in_doubt(dues: &mut watch::Receiver<Option<Due>>, told: Option<Due>, until: Instant) {
    // Too late, or with nobody left to tell of a round: it is asked again.
    let _ = tokio::time::timeout_at(until, wait_for_check(dues, told.filter(Due::is_time))).await;
}

/// The time between the start of a question that failed, this many in a row, and the next one.
fn backoff(failures: u32) -> Duration {
    PACE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(MAX_BACKOFF)
}

/// [`backoff`], or as long as the server wants to be left alone, but not for ever.
fn pause(failures: u32, retry_after: Option<Duration>) -> Duration {
    backoff(failures).max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER))
}

/// Waits until it is time to ask for the round that was told last, unless that one was answered already.
///
/// # Errors
/// Nobody is left to tell of a round.
async fn wait_for_check(
    dues: &mut watch::Receiver<Option<Due>>,
    answered: Option<Due>,
) -> Result<(), watch::error::RecvError> {
    loop {
        let told = *dues.borrow_and_update();
        match told.filter(|told| answered.is_none_or(|answered| !told.is_same(&answered))) {
            None => dues.changed().await?,
            Some(next) if next.is_time() => return Ok(()),
            Some(next) => tokio::select! {
                () = tokio::time::sleep(next.left().min(NAP)) => {}
                changed = dues.changed() => changed?,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_is_five_seconds_before_the_round_or_half_the_time_left() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let check = |left: f64| {
            let due = now + Duration::from_secs_f64(left);
            due.duration_since(Due::new(due, now).check).unwrap().as_secs_f64()
        };
        assert!((check(60.0) - 5.0).abs() < 1e-6);
        assert!((check(4.0) - 2.0).abs() < 1e-6);
        assert!((check(0.0)).abs() < 1e-6);
        let past = Due::new(now - Duration::from_secs(9), now);
        assert_eq!(past.check, past.due);
    }

    #[test]
    fn a_failing_server_is_asked_ever_more_seldom() {
        let waits: Vec<u64> = (1..=8).map(|failures| backoff(failures).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff(u32::MAX), MAX_BACKOFF);
        assert_eq!(pause(1, None), PACE);
        assert_eq!(pause(1, Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(pause(6, Some(Duration::from_secs(2))), Duration::from_secs(32));
        assert_eq!(pause(1, Some(Duration::MAX)), MAX_RETRY_AFTER);
    }
}
