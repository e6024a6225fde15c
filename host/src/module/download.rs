//! Following a URL: asked again shortly before each round is due, and on condition that it changed.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url, redirect};
use tokio::sync::watch;
use tokio::time::Instant;

use super::MAX_MODULE_BYTES;
use super::slot::Mailbox;
use super::source::{Unavailable, is_safe};

/// How long before a round is due the server is asked, where the time left allows it.
const LEAD: Duration = Duration::from_secs(5);

/// The least time between two requests.
const PACE: Duration = Duration::from_secs(1);

/// The longest time between two requests to a server that fails; the first is [`PACE`], and each twice the one before.
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// The longest a request may take, redirects and body included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// The longest sleep by the wall clock, which may be set, or stand still while the machine sleeps.
const NAP: Duration = Duration::from_secs(30);

/// The client that modules are downloaded with: it follows at most 5 redirects, to https or a loopback address only, and never
/// tells where it came from. The process must have a default rustls provider.
///
/// # Errors
/// The system's certificates cannot be read.
pub fn client(builder: ClientBuilder) -> reqwest::Result<Client> {
    let redirects = redirect::Policy::custom(|attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error(format!("more than {MAX_REDIRECTS} redirects"))
        } else if is_safe(attempt.url()) {
            attempt.follow()
        } else {
            attempt.error("a redirect to plain http")
        }
    });
    builder
        .redirect(redirects)
        // The URL may hold a secret.
        .referer(false)
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("soloist/", env!("CARGO_PKG_VERSION")))
        .build()
}

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

/// Asks now, and then before each round that it is told of; puts what it gets into the mailbox.
pub(super) async fn follow(client: Client, url: Url, mailbox: Arc<Mailbox>, mut dues: watch::Receiver<Option<Due>>) {
    let mut seen = Validators::default();
    let mut answered = None;
    let mut failures = 0;
    loop {
        let start = Instant::now();
        // This request stands for that round; one that is told meanwhile has a request of its own.
        let told = *dues.borrow_and_update();
        let answer = fetch(&client, &url, &mut seen).await;
        failures = if answer.is_err() { failures + 1 } else { 0 };
        match answer.transpose() {
            Some(found) => mailbox.put(found),
            None => mailbox.put_unchanged(),
        }
        if failures > 0 {
            tokio::time::sleep_until(start + backoff(failures)).await;
            continue;
        }
        answered = told.filter(Due::is_time).or(answered);
        if wait_for_check(&mut dues, answered).await.is_err() {
            return;
        }
        tokio::time::sleep_until(start + PACE).await;
    }
}

/// The time between the start of a request that failed, this many in a row, and the next one.
fn backoff(failures: u32) -> Duration {
    PACE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(MAX_BACKOFF)
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

/// Gets the module once.
pub(super) async fn fetch_once(client: &Client, url: &Url) -> Result<Bytes, Unavailable> {
    let found = fetch(client, url, &mut Validators::default()).await?;
    found.ok_or_else(|| Unavailable::fetch(url, "the server says `304 Not Modified` to an unconditional request"))
}

/// What the server called the module that it gave last, for the condition of the next request.
#[derive(Debug, Default)]
struct Validators {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        Self { etag: headers.get(ETAG).cloned(), modified: headers.get(LAST_MODIFIED).cloned() }
    }

    fn headers(&self) -> HeaderMap {
        let fields = [(IF_NONE_MATCH, &self.etag), (IF_MODIFIED_SINCE, &self.modified)];
        fields.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

/// Gets the module; none if it is the one that was seen.
async fn fetch(client: &Client, url: &Url, seen: &mut Validators) -> Result<Option<Bytes>, Unavailable> {
    let request = client.get(url.clone()).headers(seen.headers()).timeout(TIMEOUT);
    let response = request.send().await.map_err(|error| Unavailable::fetch(url, describe(error)))?;
    if !is_safe(response.url()) {
        return Err(Unavailable::fetch(url, "a redirect to plain http"));
    }
    match response.status() {
        StatusCode::NOT_MODIFIED => return Ok(None),
        StatusCode::OK => {}
        status => return Err(Unavailable::fetch(url, format!("the server answered `{status}`"))),
    }
    let validators = Validators::of(response.headers());
    let bytes = read(url, response).await?;
    *seen = validators;
    Ok(Some(bytes))
}

async fn read(url: &Url, mut response: Response) -> Result<Bytes, Unavailable> {
    let is_too_large = |size: u64| size > MAX_MODULE_BYTES;
    if response.content_length().is_some_and(is_too_large) {
        return Err(Unavailable::too_large(url));
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Unavailable::fetch(url, describe(error)))? {
        if is_too_large(bytes.len() as u64 + chunk.len() as u64) {
            return Err(Unavailable::too_large(url));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// An error with its causes, without the URL.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
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
    }
}
