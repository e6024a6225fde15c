//! What a job asks for: its own shape, and that of what a redirect makes of it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use reqwest::{Response, Url};

use super::gate::{Error, MAX_REQUEST_BODY, MAX_URL};
use super::headers::{redirected, strip};
use crate::runtime::clean;

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

/// What must hold before anything else is looked at.
pub(super) fn check(request: &Outgoing) -> Result<(), Error> {
    check_url(&request.url)?;
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

pub(super) fn check_url(url: &Url) -> Result<(), Error> {
    if url.as_str().len() > MAX_URL {
        return Err(Error::Invalid(format!("the URL has more than {MAX_URL} bytes")));
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Error::Invalid("the URL must be absolute, with `http` or `https`".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Invalid("credentials belong into a header, not into the URL".to_owned()));
    }
    Ok(())
}

/// The request that a redirect asks for; none where the response is no redirect.
pub(super) fn next_hop(request: &Outgoing, response: &Response) -> Result<Option<Outgoing>, Error> {
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

/// A method from its name.
///
/// # Errors
/// It is no method.
pub(super) fn method(name: &str) -> Result<Method, Error> {
    Method::from_bytes(name.as_bytes()).map_err(|_| Error::Invalid(format!("`{}` is no method", clean(name, 100))))
}
