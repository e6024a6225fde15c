//! The one gate that every request of a job goes through: grants, addresses, redirects, time and sizes are checked here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, Limited};
use reqwest::{Response, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tracing::Level;

use super::certificates;
use super::client::{Reach, Unreachable, text};
use super::grant::{Grant, literal};
use super::headers::check_size;
use super::incoming::Incoming;
use super::judge::Judge;
use super::outgoing::{Outgoing, check, check_url, next_hop};
use super::upload::{Broken, MAX_STREAM, Stream, Upload};
use crate::capability::Services;
use crate::capability::secrets::Vault;
use crate::runtime::{Facts, LeaseLost, clean};

/// The longest that a request may take, redirects and the response's body included.
pub const MAX_TIME: Duration = Duration::from_secs(30);

/// The largest body of a request that is sent whole, in bytes.
pub const MAX_REQUEST_BODY: usize = 1 << 20;

/// The largest body of a response that is given whole, in bytes.
pub const MAX_RESPONSE_BODY: usize = 8 << 20;

/// The longest URL, in bytes.
pub const MAX_URL: usize = 8 * 1024;

/// The most requests of a run; each redirect that is followed is one.
pub const MAX_REQUESTS: u32 = 100;

/// The most requests of a run that are under way at once, until their responses are read or dropped.
pub const MAX_AT_ONCE: usize = 8;

/// The most redirects of one request that are followed.
pub const MAX_REDIRECTS: usize = 5;

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The run must not act any more: this ends it, and is not for the job to see.
    #[error(transparent)]
    Lost(#[from] LeaseLost),
    /// The grants do not allow it.
    #[error("{0}")]
    Denied(String),
    /// The request is malformed.
    #[error("{0}")]
    Invalid(String),
    /// No complete answer in time.
    #[error("no complete answer in time")]
    Timeout,
    /// A body is over its limit.
    #[error("{0}")]
    TooLarge(String),
    /// Name resolution, connection, TLS or protocol failure.
    #[error("{0}")]
    Failed(String),
}

/// The gate of one run.
#[derive(Debug)]
pub struct Gate {
    grant: Grant,
    services: Services,
    facts: Arc<Facts>,
    vault: Arc<Vault>,
    requests: AtomicU32,
    places: Arc<Semaphore>,
}

/// When an exchange must have come how far.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    /// The response's header fields.
    head: Instant,
    /// Everything.
    end: Instant,
}

impl Gate {
    /// The gate of a run with this grant and without secrets.
    pub fn new(grant: Grant, services: Services, facts: Arc<Facts>) -> Self {
        Self::with_secrets(grant, services, facts, Arc::new(Vault::new([])))
    }

    /// The gate of a run with this grant and these secrets.
    pub fn with_secrets(grant: Grant, services: Services, facts: Arc<Facts>, vault: Arc<Vault>) -> Self {
        let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
        Self { grant, services, facts, vault, requests: AtomicU32::new(0), places }
    }

    /// Sends a request and gives the response as soon as its header fields are there.
    ///
    /// # Errors
    /// See [`Error`]. Nothing is sent for a request that is denied or invalid.
    pub async fn send(&self, request: Outgoing) -> Result<Incoming, Error> {
        let end = Instant::now() + request.timeout.unwrap_or(MAX_TIME).min(MAX_TIME).min(self.facts.remaining());
        self.exchange(request, None, Deadlines { head: end, end }).await
    }

    /// Sends a request whose body is written while it is sent, and gives the response as soon as its header fields are
    /// there, which may be before the body's end. The timeout is for these; the rest has the time of the run.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn stream(&self, request: Outgoing, body: Stream) -> Result<Incoming, Error> {
        let left = self.facts.remaining();
        let deadlines = Deadlines {
            head: Instant::now() + request.timeout.unwrap_or(MAX_TIME).min(left),
            end: Instant::now() + left,
        };
        self.exchange(request, Some(body), deadlines).await
    }

    /// The certificate chain that an origin presents, in DER, unverified. Counts as a request.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn certificates(&self, origin: &str, timeout: Option<Duration>) -> Result<Vec<Vec<u8>>, Error> {
        let end = Instant::now() + timeout.unwrap_or(MAX_TIME).min(MAX_TIME).min(self.facts.remaining());
        let shown = timeout_at(end, async {
            let url =
                Url::parse(origin).map_err(|error| Error::Invalid(format!("the origin is malformed: {error}")))?;
            check_url(&url)?;
            if url.scheme() != "https" || url.path() != "/" || url.query().is_some() {
                return Err(Error::Invalid(
                    "an origin with certificates is written like `https://example.com`".to_owned(),
                ));
            }
            let _place = self.place().await?;
            self.vault.check_url(&url).map_err(Error::Denied)?;
            let reach = self.grant.check_origin(&self.facts.job, &url).map_err(Error::Denied)?;
            self.admit(&url, reach)?;
            let stream = self.services.clients().connect(reach, &url).await.map_err(|error| {
                let host = url.host_str().unwrap_or_default();
                self.unreachable(&*error, &url, reach)
                    .unwrap_or_else(|| Error::Failed(format!("`{host}`: {}", clean(&error.to_string(), 512))))
            })?;
            certificates::chain(stream, &url).await
        });
        self.judge().watched(shown.await.unwrap_or(Err(Error::Timeout)))
    }

    /// Waits for one of the run's [`MAX_AT_ONCE`] places. Nobody closes them, so there is always one in the end.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.places).acquire_owned().await.map_err(|error| Error::Failed(error.to_string()))
    }

    fn judge(&self) -> Judge {
        Judge {
            services: self.services.clone(),
            facts: Arc::clone(&self.facts),
            vault: Arc::clone(&self.vault),
            broken: Broken::default(),
        }
    }

    async fn exchange(&self, request: Outgoing, body: Option<Stream>, deadlines: Deadlines) -> Result<Incoming, Error> {
        let sent = timeout_at(deadlines.head, async {
            check(&request)?;
            let place = self.place().await?;
            self.hops(request, body, deadlines.end, place).await
        });
        self.judge().watched(sent.await.unwrap_or(Err(Error::Timeout)))
    }

    async fn hops(
        &self,
        mut request: Outgoing,
        mut body: Option<Stream>,
        end: Instant,
        place: OwnedSemaphorePermit,
    ) -> Result<Incoming, Error> {
        let most = if body.is_some() { MAX_STREAM } else { MAX_RESPONSE_BODY as u64 };
        if let Some(length) = body.as_ref().and_then(|stream| stream.length)
            && (length == 0 || !self.vault.is_empty() && length <= MAX_REQUEST_BODY as u64)
        {
            request.body = self.whole(body.take()).await?;
        }
        let mut redirects = 0;
        loop {
            let (response, broken) = self.hop(&request, body.take(), end).await?;
            let Some(next) = request.follow.then(|| self.next_hop(&request, &response)).transpose()?.flatten() else {
                let judge = Judge { broken, ..self.judge() };
                return self.incoming(response, &request.url, most, end, place, judge);
            };
            if redirects == MAX_REDIRECTS {
                return Err(Error::Failed(format!("there are more than {MAX_REDIRECTS} redirects")));
            }
            redirects += 1;
            request = next;
        }
    }

    /// A body that is sent whole although it is streamed to us.
    async fn whole(&self, stream: Option<Stream>) -> Result<Bytes, Error> {
        let Some(Stream { body, alive, .. }) = stream else { return Ok(Bytes::new()) };
        let body = Limited::new(body, MAX_REQUEST_BODY).collect().await;
        let body = body.map_err(|error| Error::Failed(format!("the request's body: {error}")))?;
        if alive.strong_count() == 0 {
            return Err(Error::Failed("the run ended before the request's body".to_owned()));
        }
        Ok(body.to_bytes())
    }

    /// One request and its answer, whatever it is.
    async fn hop(&self, request: &Outgoing, body: Option<Stream>, end: Instant) -> Result<(Response, Broken), Error> {
        let Outgoing { method, url, headers, body: whole, .. } = request;
        let reach = self.grant.check(&self.facts.job, method, url).map_err(Error::Denied)?;
        let (headers, whole) = self.filled(headers, whole, url)?;
        self.admit(url, reach)?;
        let client = self.services.clients().reaching(reach);
        let mut sent = client.request(method.clone(), url.clone()).headers(headers);
        let mut broken = Broken::default();
        if let Some(stream) = body {
            let upload;
            (upload, broken) = Upload::new(stream, &self.vault, url, &self.facts, end);
            sent = sent.body(reqwest::Body::wrap(upload));
        } else if !whole.is_empty() {
            sent = sent.body(whole);
        }
        match sent.send().await {
            Ok(response) => Ok((response, broken)),
            Err(error) => Err(broken.get().cloned().unwrap_or_else(|| self.explain(&error, url, reach))),
        }
    }

    /// The header fields and the body with their secrets.
    fn filled(&self, headers: &HeaderMap, body: &Bytes, url: &Url) -> Result<(HeaderMap, Bytes), Error> {
        let mut headers = headers.clone();
        if self.vault.is_empty() {
            return Ok((headers, body.clone()));
        }
        self.vault.check_url(url).map_err(Error::Denied)?;
        self.vault.fill(&mut headers, url).map_err(Error::Denied)?;
        check_size(&headers).map_err(Error::TooLarge)?;
        if self.vault.is_bound_to(url) {
            // An echo must be readable here, so that the secret in it is found.
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let body = self.vault.outward(url).step(body, true).map_err(Error::Denied)?;
        Ok((headers, body.into()))
    }

    /// Counts a request and lets it go, as the last check of all: from here on, something may happen in the world.
    fn admit(&self, url: &Url, reach: Reach) -> Result<(), Error> {
        if url.host_str().and_then(literal).is_some() != (reach == Reach::Literal) {
            // No name in a grant covers an address; this holds by construction, and is the one thing that must not slip.
            return Err(Error::Denied(format!("`{}` is an address that no grant names", url.authority())));
        }
        if self.requests.fetch_add(1, Ordering::Relaxed) >= MAX_REQUESTS {
            return Err(Error::Denied(format!("the run has made its {MAX_REQUESTS} requests")));
        }
        Ok(self.facts.check()?)
    }

    /// What a client's error means to the job.
    fn explain(&self, error: &reqwest::Error, url: &Url, reach: Reach) -> Error {
        if let Some(unreachable) = self.unreachable(error, url, reach) {
            return unreachable;
        }
        if error.is_timeout() {
            return Error::Timeout;
        }
        Error::Failed(format!("`{}`: {}", url.host_str().unwrap_or_default(), text(error)))
    }

    /// A name that stands for no address within reach.
    fn unreachable(&self, error: &(dyn std::error::Error + 'static), url: &Url, reach: Reach) -> Option<Error> {
        let unreachable = Unreachable::of(error)?;
        let host = url.host_str().unwrap_or_default();
        // Only the log names the addresses: a job is not to map the network by them.
        let addresses: Vec<String> = unreachable.addresses.iter().map(|address| address.ip().to_string()).collect();
        self.facts.log.line(Level::WARN, &format!("`{host}` stands for {}", addresses.join(", ")));
        Some(Error::Denied(match reach {
            Reach::Public => format!(
                "`{host}` stands for no public address: if that is meant, write `{}` in `http` under `[job.{}.grants]`",
                Grant::private_line(url),
                self.facts.job
            ),
            _ => format!("`{host}` stands for no address that a name may have: grant the address itself"),
        }))
    }

    /// The request that a redirect asks for; none where the response is no redirect.
    fn next_hop(&self, request: &Outgoing, response: &Response) -> Result<Option<Outgoing>, Error> {
        let next = next_hop(request, response)?;
        if let Some(next) = &next {
            self.vault.check_redirect(&next.url).map_err(Error::Denied)?;
        }
        Ok(next)
    }

    fn incoming(
        &self,
        response: Response,
        url: &Url,
        most: u64,
        deadline: Instant,
        place: OwnedSemaphorePermit,
        judge: Judge,
    ) -> Result<Incoming, Error> {
        check_size(response.headers()).map_err(Error::TooLarge)?;
        let (mut parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        let mut inward = None;
        if !self.vault.is_empty() {
            if self.vault.is_bound_to(url) && is_encoded(&parts.headers) {
                let reason = "the response is encoded although it was not asked for, and could hide a secret";
                return Err(Error::Failed(reason.to_owned()));
            }
            self.vault.scrub_headers(&mut parts.headers);
            // A placeholder has another length than its secret.
            parts.headers.remove(header::CONTENT_LENGTH);
            inward = Some((self.vault.inward(), Arc::clone(&self.vault)));
        }
        Ok(Incoming {
            status: parts.status,
            headers: parts.headers,
            url: self.vault.scrub_text(url.as_str()),
            body,
            deadline,
            most,
            read: 0,
            inward,
            trailers: None,
            over: false,
            judge,
            _place: place,
        })
    }
}

/// Whether a response's body is compressed or otherwise encoded.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}
