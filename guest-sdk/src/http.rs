//! Plain HTTP requests, to the origins that the job was granted: `http = ["https://api.example.com"]`.
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use soloist_sdk::{Failure, http};
//!
//! #[derive(Serialize)]
//! struct Question { name: String }
//! #[derive(Deserialize)]
//! struct Answer { id: u64 }
//!
//! fn ask() -> Result<u64, Failure> {
//!     let page = http::get("https://api.example.com/health")?;
//!     if page.status != 200 {
//!         return Err(Failure::retry(format!("the service answered {}", page.status)));
//!     }
//!     let answer: Answer = http::Request::post("https://api.example.com/things")
//!         .header("accept", "application/json")
//!         .json(&Question { name: "one".to_owned() })
//!         .send()?
//!         .json()?;
//!     Ok(answer.id)
//! }
//! ```
//!
//! The host checks every request against the grants, adds secrets that belong to an origin, follows at most 5 redirects,
//! and bounds time and size.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::http as host;

/// Sends a GET request and waits for the whole response, whatever its status.
///
/// # Errors
/// There is no response: see [`Error`].
pub fn get(url: impl Into<String>) -> Result<Response, Error> {
    Request::get(url).send()
}

/// The certificate chain that a granted `https` origin presents, in DER (RFC 5280), the server's own first; unverified, so that
/// one that has expired or does not fit can be looked at. Counts as a request.
///
/// # Errors
/// There is no chain: see [`Error`].
pub fn certificates(origin: &str, timeout: Option<Duration>) -> Result<Vec<Vec<u8>>, Error> {
    Ok(host::certificates(origin, timeout.map(milliseconds))?)
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// A request that is being put together; [`Request::send`] sends it.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Result<Vec<u8>, String>,
    timeout: Option<Duration>,
}

impl Request {
    /// A request with this method, in capitals, to this absolute URL.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: Ok(Vec::new()), timeout: None }
    }

    /// A GET request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A POST request.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// A PUT request.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// A PATCH request.
    pub fn patch(url: impl Into<String>) -> Self {
        Self::new("PATCH", url)
    }

    /// A HEAD request.
    pub fn head(url: impl Into<String>) -> Self {
        Self::new("HEAD", url)
    }

    /// A DELETE request.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// Adds a header field. `host`, `content-length` and others that frame the message belong to the host.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Gives the request a body. Its type is the caller's to say, by the field `content-type`.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Ok(body.into());
        self
    }

    /// Gives the request a body of JSON, and the field `content-type` where it has none. A value that is no JSON (a map
    /// with keys that are no strings) shows when the request is sent.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        self.body = serde_json::to_vec(value).map_err(|error| format!("the body is no JSON: {error}"));
        if self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            return self;
        }
        self.header("content-type", "application/json")
    }

    /// Bounds the whole exchange, redirects included. It never takes longer than the run.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends the request and waits for the whole response, whatever its status.
    ///
    /// # Errors
    /// There is no response: see [`Error`].
    pub fn send(self) -> Result<Response, Error> {
        let request = host::Request {
            method: self.method,
            url: self.url,
            headers: self.headers,
            body: self.body.map_err(Error::Invalid)?,
            timeout_ms: self.timeout.map(milliseconds),
        };
        let host::Response { status, headers, body, url } = host::fetch(&request)?;
        Ok(Response { status, headers, body, url })
    }
}

/// A response, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header fields, in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The URL that answered, after redirects.
    pub url: String,
}

impl Response {
    /// The first header field of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text; what is no UTF-8 in it becomes U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, decoded from JSON.
    ///
    /// # Errors
    /// [`Error::Unexpected`]: the body is no JSON, or does not fit the type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::Unexpected(format!(
                "status {}, and the body is not the JSON that was expected: {error}",
                self.status
            ))
        })
    }

    /// Whether its status is one of success (200 to 299).
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// This response, if its status is one of success (200 to 299).
    ///
    /// # Errors
    /// [`Error::Unexpected`]: any other status.
    pub fn success(self) -> Result<Self, Error> {
        if self.is_success() { Ok(self) } else { Err(Error::Unexpected(format!("status {}", self.status))) }
    }
}

/// Why there is no response, or not the one that was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The grants do not allow this request. The text names the grant that is missing.
    Denied(String),
    /// The request is malformed.
    Invalid(String),
    /// No complete answer in time.
    Timeout,
    /// The body of the request or of the response is over the limit.
    TooLarge(String),
    /// Name resolution, connection, TLS or protocol failure.
    Failed(String),
    /// There is a response, and it is not what was expected: its status, or its body.
    Unexpected(String),
}

impl Error {
    /// Whether another attempt can help: what `?` goes by when it makes a [`Failure`](crate::Failure) of this.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Denied(_) | Self::Invalid(_) | Self::TooLarge(_) => false,
            Self::Timeout | Self::Failed(_) | Self::Unexpected(_) => true,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) => write!(f, "the grants do not allow it: {reason}"),
            Self::Invalid(reason) => write!(f, "the request is malformed: {reason}"),
            Self::Timeout => f.write_str("no complete answer in time"),
            Self::TooLarge(reason) => write!(f, "too large: {reason}"),
            Self::Failed(reason) => write!(f, "no answer: {reason}"),
            Self::Unexpected(reason) => write!(f, "an unexpected answer: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Denied(reason) => Self::Denied(reason),
            host::Error::Invalid(reason) => Self::Invalid(reason),
            host::Error::Timeout => Self::Timeout,
            host::Error::TooLarge(reason) => Self::TooLarge(reason),
            host::Error::Failed(reason) => Self::Failed(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_body_names_its_type_once() {
        let request = Request::post("https://example.com").header("Content-Type", "text/json").json(&[1, 2]);
        assert_eq!(request.headers, [("Content-Type".to_owned(), "text/json".to_owned())]);
        assert_eq!(request.body.as_deref(), Ok(b"[1,2]".as_slice()));
        let request = Request::post("https://example.com").json(&true);
        assert_eq!(request.headers, [("content-type".to_owned(), "application/json".to_owned())]);
    }

    #[test]
    fn a_body_that_is_no_json_is_an_invalid_request() {
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        let error = Request::post("https://example.com").json(&map).send().expect_err("no such JSON");
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }

    #[test]
    fn a_status_and_a_body_are_told_apart() {
        let response = Response { status: 503, body: b"{\"a\":1}".to_vec(), ..Response::default() };
        assert_eq!(response.json::<serde_json::Value>().expect("JSON")["a"], 1);
        assert_eq!(response.success(), Err(Error::Unexpected("status 503".to_owned())));
    }
}
