//! The one gate that every request of a job goes through: grants, addresses, redirects, time and sizes are checked here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use reqwest::{Response, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tracing::Level;

use super::client::{Reach, Unreachable, text};
use super::grant::{Grant, literal};
use super::headers::{check_size, redirected, strip};
use crate::capability::Services;
use crate::runtime::{Facts, LeaseLost, clean};

/// The longest that a request may take, redirects and the response's body included.
pub const MAX_TIME: Duration = Duration::from_secs(30);

/// The largest body of a request, in bytes.
pub const MAX_REQUEST_BODY: usize = 1 << 20;

/// The largest body of a response, in bytes.
pub const MAX_RESPONSE_BODY: usize = 8 << 20;

/// The longest URL, in bytes.
pub const MAX_URL: usize = 8 * 1024;

/// The most requests of a run; each redirect that is followed is one.
pub const MAX_REQUESTS: u32 = 100;

/// The most requests of a run that are under way at once, until their responses are read or dropped.
pub const MAX_AT_ONCE: usize = 8;

/// The most redirects of one request that are followed.
pub const MAX_REDIRECTS: usize = 5;

/// What a job asks for.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// An absolute URL.
    pub url: Url,
    /// Header fields, without those that belong to the host.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long the job wants to wait.
    pub timeout: Option<Duration>,
    /// Whether redirects are followed here, or are for the job to see.
    pub follow: bool,
}

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
    requests: AtomicU32,
    places: Arc<Semaphore>,
}

impl Gate {
    /// The gate of a run with this grant.
    pub fn new(grant: Grant, services: Services, facts: Arc<Facts>) -> Self {
        let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
        Self { grant, services, facts, requests: AtomicU32::new(0), places }
    }

    /// Sends a request and gives the response as soon as its header fields are there.
    ///
    /// # Errors
    /// See [`Error`]. Nothing is sent for a request that is denied or invalid.
    pub async fn send(&self, request: Outgoing) -> Result<Incoming, Error> {
        let deadline = self.deadline(&request);
        let sent = async {
            check(&request)?;
            self.hops(request, deadline, self.place().await?).await
        };
        self.watched(timeout_at(deadline, sent).await)
    }

    /// As [`Self::send`], from a [`Self::place`] that was taken before.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub(super) async fn send_from(&self, place: OwnedSemaphorePermit, request: Outgoing) -> Result<Incoming, Error> {
        let deadline = self.deadline(&request);
        let sent = async {
            check(&request)?;
            self.hops(request, deadline, place).await
        };
        self.watched(timeout_at(deadline, sent).await)
    }

    /// Waits for one of the run's [`MAX_AT_ONCE`] places.
    ///
    /// # Errors
    /// None that is known: nobody closes them, so there is always a place in the end.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.places).acquire_owned().await.map_err(|error| Error::Failed(error.to_string()))
    }

    fn deadline(&self, request: &Outgoing) -> Instant {
        Instant::now() + request.timeout.unwrap_or(MAX_TIME).min(MAX_TIME).min(self.facts.remaining())
    }

    /// Counts and logs what was denied.
    fn watched(&self, sent: Result<Result<Incoming, Error>, Elapsed>) -> Result<Incoming, Error> {
        let result = sent.unwrap_or(Err(Error::Timeout));
        if let Err(Error::Denied(reason)) = &result {
            self.services.count_denied(&self.facts.job, "http");
            self.facts.log.line(Level::WARN, &format!("a request was denied: {reason}"));
        }
        result
    }

    async fn hops(
        &self,
        mut request: Outgoing,
        deadline: Instant,
        place: OwnedSemaphorePermit,
    ) -> Result<Incoming, Error> {
        let mut redirects = 0;
        loop {
            let response = self.hop(&request).await?;
            let Some(next) = request.follow.then(|| next_hop(&request, &response)).transpose()?.flatten() else {
                check_size(response.headers()).map_err(Error::TooLarge)?;
                return Ok(Incoming { response, deadline, left: MAX_RESPONSE_BODY, _place: place });
            };
            if redirects == MAX_REDIRECTS {
                return Err(Error::Failed(format!("there are more than {MAX_REDIRECTS} redirects")));
            }
            redirects += 1;
            request = next;
        }
    }

    /// One request and its answer, whatever it is.
    async fn hop(&self, request: &Outgoing) -> Result<Response, Error> {
        let Outgoing { method, url, headers, body, .. } = request;
        let reach = self.grant.check(&self.facts.job, method, url).map_err(Error::Denied)?;
        if url.host_str().and_then(literal).is_some() != (reach == Reach::Literal) {
            // No name in a grant covers an address; this holds by construction, and is the one thing that must not slip.
            return Err(Error::Denied(format!("`{}` is an address that no grant names", url.authority())));
        }
        if self.requests.fetch_add(1, Ordering::Relaxed) >= MAX_REQUESTS {
            return Err(Error::Denied(format!("the run has made its {MAX_REQUESTS} requests")));
        }
        // Last of all: from here on, something may happen in the world.
        self.facts.check()?;
        let client = self.services.clients().reaching(reach);
        let mut sent = client.request(method.clone(), url.clone()).headers(headers.clone());
        if !body.is_empty() {
            sent = sent.body(body.clone());
        }
        sent.send().await.map_err(|error| self.explain(&error, url, reach))
    }

    /// What a client's error means to the job.
    fn explain(&self, error: &reqwest::Error, url: &Url, reach: Reach) -> Error {
        let host = url.host_str().unwrap_or_default();
        if let Some(unreachable) = Unreachable::of(error) {
            // Only the log names the addresses: a job is not to map the network by them.
            let addresses: Vec<String> = unreachable.addresses.iter().map(|address| address.ip().to_string()).collect();
            self.facts.log.line(Level::WARN, &format!("`{host}` stands for {}", addresses.join(", ")));
            return Error::Denied(match reach {
                Reach::Public => format!(
                    "`{host}` stands for no public address: if that is meant, write `{}` in `http` under \
                     `[job.{}.grants]`",
                    Grant::private_line(url),
                    self.facts.job
                ),
                _ => format!("`{host}` stands for no address that a name may have: grant the address itself"),
            });
        }
        if error.is_timeout() {
            return Error::Timeout;
        }
        Error::Failed(format!("`{host}`: {}", text(error)))
    }
}

/// What must hold before anything else is looked at.
fn check(request: &Outgoing) -> Result<(), Error> {
    let url = &request.url;
    if url.as_str().len() > MAX_URL {
        return Err(Error::Invalid(format!("the URL has more than {MAX_URL} bytes")));
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Error::Invalid("the URL must be absolute, with `http` or `https`".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Invalid("credentials belong into a header, not into the URL".to_owned()));
    }
    if matches!(request.method, Method::CONNECT | Method::TRACE) {
        return Err(Error::Invalid(format!("the method {} is not for jobs", request.method)));
    }
    if request.body.len() > MAX_REQUEST_BODY {
        let size = request.body.len();
        return Err(Error::TooLarge(format!(
            "the request's body has {size} bytes, and at most {MAX_REQUEST_BODY} are sent"
        )));
    }
    Ok(())
}

/// The request that a redirect asks for; none where the response is no redirect.
fn next_hop(request: &Outgoing, response: &Response) -> Result<Option<Outgoing>, Error> {
    let Some((method, keeps_body)) = redirected(response.status(), &request.method) else { return Ok(None) };
    let Some(location) = response.headers().get(header::LOCATION) else { return Ok(None) };
    let url = std::str::from_utf8(location.as_bytes())
        .ok()
        .and_then(|location| request.url.join(location).ok())
        .ok_or_else(|| Error::Failed("the redirect's `location` is no URL".to_owned()))?;
    let mut headers = request.headers.clone();
    strip(&mut headers, keeps_body, url.origin() == request.url.origin());
    let body = if keeps_body { request.body.clone() } else { Bytes::new() };
    let next = Outgoing { method, url, headers, body, timeout: request.timeout, follow: true };
    check(&next).map_err(|error| Error::Failed(format!("the redirect cannot be followed: {error}")))?;
    Ok(Some(next))
}

/// A response whose body is still to be read. It holds one of the run's [`MAX_AT_ONCE`] places.
#[derive(Debug)]
pub struct Incoming {
    response: Response,
    deadline: Instant,
    left: usize,
    _place: OwnedSemaphorePermit,
}

impl Incoming {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The URL that answered.
    pub fn url(&self) -> &Url {
        self.response.url()
    }

    /// The next piece of the body; none at its end.
    ///
    /// # Errors
    /// The body is over [`MAX_RESPONSE_BODY`], late or broken off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let read = timeout_at(self.deadline, self.response.chunk()).await.map_err(|_| Error::Timeout)?;
        let chunk = read.map_err(|error| {
            if error.is_timeout() { Error::Timeout } else { Error::Failed(format!("the body: {}", text(&error))) }
        })?;
        let Some(chunk) = chunk else { return Ok(None) };
        self.left = self
            .left
            .checked_sub(chunk.len())
            .ok_or_else(|| Error::TooLarge(format!("the response's body has more than {MAX_RESPONSE_BODY} bytes")))?;
        Ok(Some(chunk))
    }

    /// The whole body.
    ///
    /// # Errors
    /// As for [`Self::chunk`].
    pub async fn body(mut self) -> Result<Bytes, Error> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// A method from its name.
///
/// # Errors
/// It is no method.
pub(super) fn method(name: &str) -> Result<Method, Error> {
    Method::from_bytes(name.as_bytes()).map_err(|_| Error::Invalid(format!("`{}` is no method", clean(name, 100))))
}
