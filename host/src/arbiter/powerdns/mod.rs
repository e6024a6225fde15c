//! The HTTP API of PowerDNS Authoritative (4.6 or later), which only overwrites: a record is replaced after it was read
//! and found to be what was expected, and a write is given up, or known to be done, within a bound.
//!
//! **What is bounded.** [`PowerDns::replace`] reads, compares, and writes only what is still expected. Nothing of the write is
//! begun later than the `timeout` after its read was begun, and nothing of it is sent again by us. What the system had been
//! given by then reaches the server within another `timeout`, or never: the connection is closed by then, whatever is lost
//! on the way ([`ClientBuilder::tcp_user_timeout`], Linux only; elsewhere the system decides). So a write that is applied
//! was sent at most twice the `timeout` after its read, and the settle time must outlast that and the time that the server
//! itself takes. What stands between the last look at the clock and the system's taking the bytes, should the process be frozen
//! just there, and what a server does with a request that it had long received, nobody bounds: hence best effort.

mod account;
mod api;
mod change;
mod content;
mod deadline;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::rr::Name;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, RequestBuilder, Url, redirect};

use self::account::ZoneAccount;
use self::api::{Answer, Asked};
use self::deadline::Deadline;
use super::account::Account;
use super::clock::Clock;
pub use super::options::Invalid;
use super::options::{absolute, bare, checked, within_limits};
use super::{Arbiter, Error, Promise};
use crate::clock::boot_ms;
use crate::round::contender::Settle;
use crate::round::{MAX_RECORD_BYTES, Observation, Replaced, Revision, Shown};

/// What PowerDNS calls its only server, unless it is told otherwise.
pub const DEFAULT_SERVER_ID: &str = "localhost";

/// The settle time where nothing else is configured, as a multiple of the time-out: two for a write on its way, one for the
/// server.
pub const DEFAULT_SETTLE: u32 = 3;

/// The shortest settle time, as a multiple of the time-out: a write may be on its way for so long.
pub const MIN_SETTLE: u32 = 2;

/// How often a claim is read back before it is relied on.
const READS: u32 = 2;

/// The longest answer that is read, in bytes. What stands at one name is far shorter; only a server that does not know how to
/// leave out the rest of its zone (before 4.6) sends more.
const MAX_ANSWER: usize = 1024 * 1024;

/// What the API takes us by. Its `Debug` text does not hold it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(HeaderValue);

impl ApiKey {
    /// A key; none if it is empty, or has characters other than the printable ones of ASCII: no HTTP header holds them.
    pub fn new(key: &str) -> Option<Self> {
        let is_printable = !key.is_empty() && key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let mut value = HeaderValue::from_str(key).ok().filter(|_| is_printable)?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// A text in which the key does not stand.
    fn hidden_in(&self, text: &str) -> String {
        match self.0.to_str() {
            Ok(key) => text.replace(key, "[the API key]"),
            Err(_) => text.to_owned(),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Which record, where, and by which key.
#[derive(Debug, Clone)]
pub struct Options {
    /// What sends the requests: made by [`client`].
    pub client: Client,
    /// Where the API is: `http://127.0.0.1:8081`, with a path before `/api` where there is one.
    pub url: Url,
    /// What the API calls its server; usually [`DEFAULT_SERVER_ID`].
    pub server_id: String,
    /// The zone, as the server knows it.
    pub zone: Name,
    /// The name of the TXT record: in the zone.
    pub record: Name,
    /// The API's key.
    pub key: ApiKey,
    /// The TTL that the record is written with, in seconds.
    pub ttl: u32,
    /// The longest time that reading, and again replacing, takes.
    pub timeout: Duration,
    /// How long a claim is waited for to settle: at least [`MIN_SETTLE`] times the time-out.
    pub settle: Duration,
}

/// One TXT record behind the API of a PowerDNS server.
#[derive(Debug, Clone)]
pub struct PowerDns {
    client: Client,
    asked: Asked,
    key: ApiKey,
    ttl: u32,
    timeout: Duration,
    settle: Settle,
    clock: Arc<Clock>,
}

/// Finishes a client that sends no request twice, on connections that are not shared, and follows no redirect with the key.
/// Which certificates it trusts is said already.
///
/// # Errors
/// TLS cannot be set up.
pub fn client(builder: ClientBuilder, timeout: Duration) -> reqwest::Result<Client> {
    let builder = builder
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        // PowerDNS closes each anyway. One that is closed in the moment of its use leaves open what became of a write.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("soloist/", env!("CARGO_PKG_VERSION")));
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let builder = builder.tcp_user_timeout(timeout);
    #[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
    let _ = timeout;
    builder.build()
}

/// The settle time of an arbiter, as the contender has it.
pub fn settle(wait: Duration) -> Settle {
    Settle { wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), reads: READS }
}

impl PowerDns {
    /// The arbiter of one record. Nothing is connected yet.
    ///
    /// # Errors
    /// The record is not in the zone, or an option is out of range.
    pub fn new(options: Options) -> Result<Self, Invalid> {
        let Options { client, url, server_id, zone, record, key, ttl, timeout, settle: wait } = options;
        within_limits(ttl, timeout)?;
        if wait < timeout * MIN_SETTLE {
            return Err(Invalid::Settle { settle: wait, timeout });
        }
        let zone = absolute(&zone);
        let record = checked(&record, &zone)?;
        let place = url.as_str().trim_end_matches('/').to_owned();
        let zone_url = api::zone_url(&url, &server_id, &zone).ok_or_else(|| Invalid::Url(place.clone()))?;
        let asked = Asked { place, zone_url, server_id, zone, record };
        let clock = Arc::new(Clock::new(asked.place.clone()));
        Ok(Self { client, asked, key, ttl, timeout, settle: settle(wait), clock })
    }

    /// The arbiter of another record in the same zone, by the same client, key and clock.
    ///
    /// # Errors
    /// The record is not in the zone.
    pub fn beside(&self, record: &Name) -> Result<Self, Invalid> {
        let asked = Asked { record: checked(record, &self.asked.zone)?, ..self.asked.clone() };
        Ok(Self { asked, ..self.clone() })
    }

    /// What stands there, if that is known before the deadline.
    async fn look(&self, deadline: Deadline) -> Result<Observation, Error> {
        let asking = self.exchange(self.client.get(self.asked.question()));
        match deadline.bound(asking).await {
            Some(Ok(answer)) => self.hide(self.asked.of_question(&answer)),
            Some(Err(Lost::TooLong)) => Err(Error::Nonsense {
                place: self.asked.place.clone(),
                reason: format!(
                    "more than {MAX_ANSWER} bytes: it sends its whole zone, as PowerDNS before 4.6 does: update it"
                ),
            }),
            Some(Err(Lost::NotSent(reason) | Lost::Answer(reason))) => Err(self.unreachable(reason)),
            None => Err(self.unreachable("no answer in time".to_owned())),
        }
    }

    /// Sends a request, once, and reads its answer; learns the clock of whoever dates it. PowerDNS itself does not, a proxy
    /// before it does.
    async fn exchange(&self, request: RequestBuilder) -> Result<Answer, Lost> {
        let request = request.header("X-API-Key", self.key.0.clone());
        let sent_ms = boot_ms();
        let mut response = request.send().await.map_err(Lost::of)?;
        let status = response.status();
        if let Some(second) = date(response.headers()).filter(|_| status.is_success()) {
            self.clock.saw(Shown { sent_ms, received_ms: boot_ms(), second });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Lost::of)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(Lost::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable { place: self.asked.place.clone(), reason }
    }

    /// The same, without the key in what a server said.
    fn hide<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        outcome.map_err(|mut error| {
            let (Error::Unreachable { reason, .. } | Error::Refused { reason, .. } | Error::Nonsense { reason, .. }) =
                &mut error;
            *reason = self.key.hidden_in(reason);
            error
        })
    }
}

/// Why there is no answer to a request.
#[derive(Debug)]
enum Lost {
    /// No connection was made: nothing was sent.
    NotSent(String),
    /// It may have been sent.
    Answer(String),
    /// It is longer than [`MAX_ANSWER`].
    TooLong,
}

impl Lost {
    fn of(error: reqwest::Error) -> Self {
        let (is_connect, text) = (error.is_connect(), describe(error));
        if is_connect { Self::NotSent(text) } else { Self::Answer(text) }
    }
}

/// When an answer was made, in seconds since the Unix epoch (RFC 9110, section 6.6.1), where it says so.
fn date(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    u64::try_from(date.timestamp().as_second()).ok()
}

/// An error by its causes: the client's own layers say only that there is one.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut causes = vec![error.to_string()];
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    let outer = causes.len().saturating_sub(2);
    causes.split_off(outer).join(": ")
}

#[async_trait]
impl Arbiter for PowerDns {
    async fn read(&self) -> Result<Observation, Error> {
        self.look(Deadline::after(self.timeout)).await
    }

    async fn replace(&self, expected: &Revision, value: &[u8]) -> Result<Replaced, Error> {
        let refused = |reason: String| Error::Refused { place: self.asked.place.clone(), reason };
        if value.len() > MAX_RECORD_BYTES {
            let reason = format!("a record of {} bytes: at most {MAX_RECORD_BYTES} are written", value.len());
            return Err(refused(reason));
        }
        let change = self.asked.change(value, self.ttl).map_err(|error| refused(error.to_string()))?;
        // The read has half of the time at most, so that a write is begun only with time enough to be answered.
        let deadline = Deadline::after(self.timeout);
        let seen = self.look(deadline.earlier(self.timeout / 2)).await?;
        if seen.revision != *expected {
            return Ok(Replaced::Conflict);
        }
        let request = self.client.patch(self.asked.zone_url.clone()).header(CONTENT_TYPE, "application/json");
        match deadline.bound(self.exchange(request.body(change))).await {
            Some(Ok(answer)) => match self.hide(self.asked.of_change(&answer, value))? {
                Replaced::Unknown(reason) => Ok(Replaced::Unknown(self.key.hidden_in(&reason))),
                known => Ok(known),
            },
            Some(Err(Lost::NotSent(reason))) => Err(self.unreachable(reason)),
            Some(Err(Lost::Answer(reason))) => Ok(Replaced::Unknown(reason)),
            Some(Err(Lost::TooLong)) => Ok(Replaced::Unknown("an answer without end".to_owned())),
            None => Ok(Replaced::Unknown("no answer in time".to_owned())),
        }
    }

    fn promise(&self) -> Promise {
        Promise::Settle(self.settle)
    }

    fn place(&self) -> String {
        format!("{} at {}", bare(&self.asked.record), self.asked.place)
    }

    fn account(&self) -> Option<Arc<dyn Account>> {
        Some(Arc::new(ZoneAccount(self.clone())))
    }

    fn clock(&self) -> Option<Arc<Clock>> {
        Some(Arc::clone(&self.clock))
    }
}
