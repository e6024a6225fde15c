//! Getting a module from a URL: on condition that it changed, within a time, a size and a number of redirects.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url, redirect};

use super::MAX_MODULE_BYTES;
use super::access::Access;
use super::follow::{Failure, Found};
use super::source::{Unavailable, is_safe};
use super::trust::MAX_SIGNATURE_BYTES;

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 5;

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

/// A URL that is asked for a module, again and again.
#[derive(Debug)]
pub(super) struct Download {
    client: Client,
    timeout: Duration,
    url: Url,
    seen: Validators,
}

impl Download {
    pub(super) fn new(access: &Access, url: Url) -> Self {
        Self { client: access.client.clone(), timeout: access.timeout, url, seen: Validators::default() }
    }

    /// Gets the module, unless it is the one that was seen.
    pub(super) async fn find(&mut self) -> Result<Found<Bytes>, Failure> {
        let response = self.get(&self.url, self.seen.headers()).await?;
        match response.status() {
            StatusCode::NOT_MODIFIED => return Ok(Found::Same),
            StatusCode::OK => {}
            _ => return Err(refused(&self.url, &response)),
        }
        let validators = Validators::of(response.headers());
        let bytes = read(response, MAX_MODULE_BYTES).await.map_err(|error| match error {
            ReadError::TooLarge => Unavailable::too_large(&self.url),
            ReadError::Broken(reason) => Unavailable::fetch(&self.url, reason),
        })?;
        self.seen = validators;
        Ok(Found::New(bytes))
    }

    /// Gets the signature beside it; none where there is none.
    pub(super) async fn signatures(&self) -> Result<Vec<String>, Failure> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}.minisig", url.path()));
        let response = self.get(&url, HeaderMap::new()).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(Vec::new()),
            _ => return Err(refused(&url, &response)),
        }
        let bytes = read(response, MAX_SIGNATURE_BYTES).await.map_err(|error| {
            let large = || format!("it has more than {MAX_SIGNATURE_BYTES} bytes, and so is no signature");
            Unavailable::fetch(&url, if let ReadError::Broken(reason) = error { reason } else { large() })
        })?;
        Ok(vec![String::from_utf8_lossy(&bytes).into_owned()])
    }

    async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Response, Unavailable> {
        let request = self.client.get(url.clone()).headers(headers).timeout(self.timeout);
        let response = request.send().await.map_err(|error| Unavailable::fetch(url, describe(error)))?;
        if is_safe(response.url()) { Ok(response) } else { Err(Unavailable::fetch(url, "a redirect to plain http")) }
    }
}

fn refused(url: &Url, response: &Response) -> Failure {
    let reason = format!("the server answered `{}`", response.status());
    Failure::Unavailable(Unavailable::fetch(url, reason), retry_after(response.headers()))
}

/// How long the server wants to be left alone (RFC 9110, section 10.2.3): seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    SystemTime::from(then).duration_since(SystemTime::now()).ok()
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It is larger than it may be.
    TooLarge,
    /// It did not come in time, or not to its end.
    Broken(String),
}

/// Reads a body of at most `most` bytes.
pub(super) async fn read(mut response: Response, most: u64) -> Result<Bytes, ReadError> {
    if response.content_length().is_some_and(|size| size > most) {
        return Err(ReadError::TooLarge);
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| ReadError::Broken(describe(error)))? {
        if bytes.len() as u64 + chunk.len() as u64 > most {
            return Err(ReadError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// An error with its causes, without the URL.
pub(super) fn describe(error: reqwest::Error) -> String {
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
    fn a_server_says_in_seconds_or_by_a_date_when_to_come_back() {
        let after = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(after("120"), Some(Duration::from_mins(2)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), None, "long past");
        assert_eq!(after("soon"), None);
        assert!(after("Fri, 31 Dec 2100 23:59:59 GMT").is_some_and(|wait| wait > Duration::from_hours(24)));
    }
}
