//! Any primary that takes RFC 2136 updates: a record is replaced by one signed UPDATE whose prerequisite is the exact
//! RRset that was read, so a round has exactly one winner, and no UPDATE is ever sent twice.

mod account;
mod answer;
mod connection;
mod message;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{DnsResponse, Message, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigError;
use hickory_proto::rr::{Name, TSigner};
use rand::Rng as _;

use self::account::ZoneAccount;
use self::answer::{Asked, Signed};
use self::connection::{Answered, Failure, Server};
use super::account::Account;
use super::clock::Clock;
pub use super::options::Invalid;
use super::options::{absolute, bare, checked, within_limits};
use super::tsig::Key;
use super::{Arbiter, Error, Promise};
use crate::clock::boot_ms;
use crate::round::{MAX_RECORD_BYTES, Observation, Replaced, Revision, Shown};

/// The TTL that a record is written with, in seconds, where nothing else is configured: what people see through a
/// resolver is at most a minute old. Agents never read through one, so it matters to nobody else.
pub const DEFAULT_TTL: u32 = 60;

/// How long an exchange may take where nothing else is configured.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// How far the clocks may be apart for a query, in seconds: as far as can be said, 18 hours. A query that is played back
/// changes nothing, and its answer is signed even by a server (PowerDNS) that says nothing of its time to whoever is further
/// off.
const QUERY_FUDGE: u16 = u16::MAX;

/// How long ago a query is said to be signed, in seconds, at most.
const MAX_AGO: u64 = 30;

/// Which record, where, and by which key.
#[derive(Debug, Clone)]
pub struct Options {
    /// The zone's primary server: `address:port` or `name:port`. A name is looked up for each connection, and the first
    /// of its addresses that takes one is used.
    pub server: String,
    /// The zone, as the server knows it.
    pub zone: Name,
    /// The name of the TXT record: in the zone.
    pub record: Name,
    /// The key that signs updates.
    pub key: Key,
    /// The TTL that the record is written with, in seconds; usually [`DEFAULT_TTL`].
    pub ttl: u32,
    /// How long to wait for a connection, and then again for the answer; usually [`DEFAULT_TIMEOUT`].
    pub timeout: Duration,
}

/// One TXT record at an RFC 2136 primary.
pub struct Rfc2136 {
    server: Arc<Server>,
    clock: Arc<Clock>,
    asked: Asked,
    key: Key,
    ttl: u32,
}

/// A signed request's answer, and what its signature says.
struct Judged {
    answer: DnsResponse,
    signed: Signed,
    sent_ms: u64,
    received_ms: u64,
}

impl Rfc2136 {
    /// The arbiter of one record. Nothing is connected yet.
    pub fn new(options: Options) -> Result<Self, Invalid> {
        within_limits(options.ttl, options.timeout)?;
        let zone = absolute(&options.zone);
        let asked = Asked {
            place: options.server.clone(),
            record: checked(&options.record, &zone)?,
            zone,
            kinds: "TXT".to_owned(),
            key: bare(options.key.name()),
            algorithm: options.key.algorithm().name(),
        };
        let clock = Arc::new(Clock::new(options.server.clone()));
        let server = Arc::new(Server::new(options.server, options.timeout));
        Ok(Self { server, clock, asked, key: options.key, ttl: options.ttl })
    }

    /// The arbiter of another record in the same zone: over the same connection, with the same key, by the same clock.
    ///
    /// All the jobs of an agent that arbitrate at one server should come from one another in this way, so that any
    /// number of jobs holds one connection.
    pub fn beside(&self, record: &Name) -> Result<Self, Invalid> {
        let asked = Asked { record: checked(record, &self.asked.zone)?, ..self.asked.clone() };
        let (server, clock) = (Arc::clone(&self.server), Arc::clone(&self.clock));
        Ok(Self { server, clock, asked, key: self.key.clone(), ttl: self.ttl })
    }

    /// Sends a request, signed at this second, and learns the arbiter's clock from the answer.
    ///
    /// It is signed here and not by the connection, which hides what an answer says that it cannot verify. The connection
    /// gives the message another id later; the signature keeps ours, as in an update that a secondary forwards (RFC 8945,
    /// section 4.2).
    async fn exchange(&self, request: Message, signer: &TSigner, at: u64) -> Result<Judged, Failure> {
        self.exchange_if(request, signer, at, &|| true).await
    }

    /// The same, sent only if it may be at that moment.
    async fn exchange_if(
        &self,
        mut request: Message,
        signer: &TSigner,
        at: u64,
        may: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Judged, Failure> {
        let unsigned = |reason: &str| Failure::NotSent(format!("the request could not be signed: {reason}"));
        request.finalize(signer, at).map_err(|error| unsigned(&error.to_string()))?;
        let mac = request.signature().map(|signature| signature.data.mac.clone()).ok_or_else(|| unsigned("no MAC"))?;
        let Answered { answer, sent_ms, received_ms } = self.server.exchange(&request, may).await?;
        let verdict = Signed::check(&answer, signer, &mac);
        // The time that we signed at may be ours, repeated.
        if let Signed::Well { second } = verdict
            && second != at
        {
            self.clock.saw(Shown { sent_ms, received_ms, second });
        }
        Ok(Judged { answer, signed: verdict, sent_ms, received_ms })
    }

    /// Sends an update, once.
    async fn update(&self, update: Message) -> Result<Judged, Failure> {
        self.exchange(update, &self.key.signer(), self.clock.now().wall_seconds()).await
    }

    /// Asks for the record; once more where the connection had served before and broke.
    async fn query(&self, at: u64, fudge: u16) -> Result<Judged, Error> {
        let signer = self.key.signer_within(fudge);
        let query = || self.exchange(message::query(&self.asked.record), &signer, at);
        let judged = match query().await {
            // A server may close a connection at any time. Asking twice is harmless, unlike writing twice.
            Err(Failure::Lost { reused: true, .. }) => query().await,
            first => first,
        };
        judged.map_err(|failure| self.unreachable(failure.to_string()))
    }

    /// Asks for the record in a way that shows the server's clock.
    async fn query_and_time(&self) -> Result<Judged, Error> {
        if !self.server.repeats_time() {
            // A while ago, so that a server that shows its own time is told from one that repeats ours.
            let at = self.clock.now().wall_seconds().saturating_sub(rand::rng().random_range(1..=MAX_AGO));
            let judged = self.query(at, QUERY_FUDGE).await?;
            if judged.is_bad_time() && judged.is_signed() {
                // Its clock is known by now.
                return self.query(self.clock.now().wall_seconds(), QUERY_FUDGE).await;
            }
            if judged.signed != (Signed::Well { second: at }) {
                return Ok(judged);
            }
            self.server.set_repeats_time(true);
        }
        self.query_and_guess().await
    }

    /// The same at a server that repeats our time (PowerDNS), and refuses to answer what was signed further from its own than
    /// the request allows: usually at the first guess.
    async fn query_and_guess(&self) -> Result<Judged, Error> {
        // To the second; as far around as the search below may leave open.
        for ahead in [0, -1, 1, -2, 2, -3, 3] {
            let judged = self.guess(self.clock.now().wall_seconds().saturating_add_signed(ahead), 0).await?;
            if judged.is_bad_time() {
                // It shows its own time after all: it was off by as much as we had signed ago.
                self.server.set_repeats_time(false);
                return self.query(self.clock.now().wall_seconds(), QUERY_FUDGE).await;
            }
            if !judged.is_refused_unsigned() {
                return Ok(judged);
            }
        }
        let start = self.clock.now();
        let (mut low, mut high) = (-i64::from(QUERY_FUDGE), i64::from(QUERY_FUDGE));
        let mut last = self.guess(start.wall_seconds(), QUERY_FUDGE).await?;
        // Halves what is left, 18 times at most; seconds that pass meanwhile are within the slack of one.
        while high - low > 2 && !last.is_refused_unsigned() {
            let fudge = (high - low) / 4 + 1;
            let ahead = low + fudge;
            let passed = (boot_ms() - start.mono_ms + start.wall_ms % 1000) / 1000;
            let at = start.wall_seconds().saturating_add_signed(ahead) + passed;
            let judged = self.guess(at, u16::try_from(fudge).unwrap_or(QUERY_FUDGE)).await?;
            if judged.is_refused_unsigned() {
                low = ahead + fudge - 1;
            } else {
                (low, high, last) = (low.max(ahead - fudge - 1), high.min(ahead + fudge + 1), judged);
                if high - low <= 6 {
                    break;
                }
            }
        }
        Ok(last)
    }

    /// Asks for the record; an answer that is signed says that the server's clock was so near.
    async fn guess(&self, at: u64, fudge: u16) -> Result<Judged, Error> {
        let judged = self.query(at, fudge).await?;
        if judged.signed == (Signed::Well { second: at }) {
            let Judged { sent_ms, received_ms, .. } = judged;
            let fudge = u64::from(fudge);
            self.clock.saw_from(Shown { sent_ms, received_ms, second: at.saturating_sub(fudge) }, 2 * fudge);
        }
        Ok(judged)
    }

    /// Learns the time of a server that signs no answers to questions, by an update that changes nothing. Without an answer
    /// this machine's clock goes on to be the one to go by.
    async fn ask_the_time(&self) {
        let nothing = message::no_update(&self.asked.zone, &self.asked.record);
        let at = self.clock.now().wall_seconds().saturating_sub(rand::rng().random_range(1..=MAX_AGO));
        if let Err(failure) = self.exchange(nothing, &self.key.signer(), at).await {
            tracing::debug!("the arbiter at {} does not show its clock: {failure}", self.asked.place);
        }
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable { place: self.asked.place.clone(), reason }
    }
}

#[async_trait]
impl Arbiter for Rfc2136 {
    async fn read(&self) -> Result<Observation, Error> {
        let judged = self.query_and_time().await?;
        let seen = answer::of_query(&judged.answer, &judged.signed, &self.asked)?;
        if self.clock.is_wanted() {
            self.ask_the_time().await;
        }
        Ok(seen)
    }

    async fn replace(&self, expected: &Revision, value: &[u8]) -> Result<Replaced, Error> {
        if value.len() > MAX_RECORD_BYTES {
            let reason = format!("a record of {} bytes: at most {MAX_RECORD_BYTES} are written", value.len());
            return Err(Error::Refused { place: self.asked.place.clone(), reason });
        }
        let new = message::txt(value);
        let Some(update) = message::update(&self.asked.zone, &self.asked.record, expected, new.clone(), self.ttl)
        else {
            // A revision that we did not make cannot be what stands there.
            return Ok(Replaced::Conflict);
        };
        match self.update(update).await {
            Ok(judged) => answer::of_update(&judged.answer, &judged.signed, &[new], &self.asked),
            Err(failure @ (Failure::NotSent(_) | Failure::Withdrawn)) => Err(self.unreachable(failure.to_string())),
            Err(failure @ (Failure::Lost { .. } | Failure::Silent(_))) => Ok(Replaced::Unknown(failure.to_string())),
        }
    }

    fn promise(&self) -> Promise {
        Promise::CompareAndSwap
    }

    fn place(&self) -> String {
        format!("{} at {}", bare(&self.asked.record), self.asked.place)
    }

    fn account(&self) -> Option<Arc<dyn Account>> {
        let asked = Asked { record: self.asked.zone.clone(), ..self.asked.clone() };
        let (server, clock) = (Arc::new(self.server.another()), Arc::clone(&self.clock));
        Some(Arc::new(ZoneAccount(Self { server, clock, asked, key: self.key.clone(), ttl: self.ttl })))
    }

    fn clock(&self) -> Option<Arc<Clock>> {
        Some(Arc::clone(&self.clock))
    }
}

impl Judged {
    fn is_signed(&self) -> bool {
        matches!(self.signed, Signed::Well { .. })
    }

    /// Refused as a server does that says nothing of why: of the key or the time.
    fn is_refused_unsigned(&self) -> bool {
        self.signed == Signed::No && self.answer.response_code == ResponseCode::NotAuth
    }

    fn is_bad_time(&self) -> bool {
        self.answer.signature().is_some_and(|signature| signature.data.error == Some(TsigError::BadTime))
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;
    use crate::arbiter::tsig::Algorithm;

    fn options(zone: &str, record: &str) -> Options {
        Options {
            server: "127.0.0.1:53".to_owned(),
            zone: Name::from_str(zone).unwrap(),
            record: Name::from_str(record).unwrap(),
            key: Key::generate("soloist", Algorithm::HmacSha256).unwrap(),
            ttl: DEFAULT_TTL,
            timeout: DEFAULT_TIMEOUT,
        }
    }

    #[test]
    fn a_record_in_the_zone_is_taken_in_any_spelling() {
        for record in ["canary.example.com", "Canary.Example.COM.", "a.b.example.com", "example.com"] {
            assert!(Rfc2136::new(options("example.com", record)).is_ok(), "{record}");
        }
        let arbiter = Rfc2136::new(options("Example.com.", "Canary.Example.com")).unwrap();
        assert_eq!(arbiter.place(), "canary.example.com at 127.0.0.1:53");
    }

    #[test]
    fn a_record_outside_the_zone_is_refused() {
        let outside = |record: &str| Invalid::OutsideZone { record: record.to_owned(), zone: "example.com".to_owned() };
        let error = Rfc2136::new(options("example.com", "canary.example.net")).err();
        assert_eq!(error, Some(outside("canary.example.net")));
        let error = Rfc2136::new(options("example.com", "canaryexample.com")).err();
        assert_eq!(error, Some(outside("canaryexample.com")));
        let arbiter = Rfc2136::new(options("example.com", "canary.example.com")).unwrap();
        assert_eq!(arbiter.beside(&Name::from_str("com").unwrap()).err(), Some(outside("com")));
    }

    #[test]
    fn a_wildcard_is_refused() {
        let error = Rfc2136::new(options("example.com", "*.example.com")).err();
        assert_eq!(error, Some(Invalid::Wildcard("*.example.com".to_owned())));
    }

    #[test]
    fn a_ttl_or_time_out_out_of_range_is_refused() {
        let mut large = options("example.com", "a.example.com");
        large.ttl = u32::MAX;
        assert_eq!(Rfc2136::new(large).err(), Some(Invalid::Ttl(u32::MAX)));
        for timeout in [Duration::ZERO, Duration::from_secs(61)] {
            let mut odd = options("example.com", "a.example.com");
            odd.timeout = timeout;
            assert_eq!(Rfc2136::new(odd).err(), Some(Invalid::Timeout(timeout)));
        }
    }
}
