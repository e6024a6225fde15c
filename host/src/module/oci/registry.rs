//! Asking a registry: requests with the credentials that it demands, answers within limits, and its errors in words.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};

use super::super::Digest;
use super::super::access::Access;
use super::super::download::{ReadError, describe, read, retry_after};
use super::super::follow::Failure;
use super::super::source::{Unavailable, is_safe};
use super::credentials::{self, Credentials};
use super::{Image, MAX_MANIFEST_BYTES, manifest};

/// The longest answer with an error, or with a token, that is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// One repository of a registry.
pub(super) struct Registry {
    client: Client,
    timeout: Duration,
    docker: Option<PathBuf>,
    image: Image,
    /// What the registry took us by last.
    authorization: Option<HeaderValue>,
}

/// Without what the registry takes us by.
impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("image", &self.image).finish_non_exhaustive()
    }
}

impl Registry {
    pub(super) fn new(access: &Access, image: &Image) -> Self {
        let (client, timeout, docker) = (access.client.clone(), access.timeout, access.docker.clone());
        Self { client, timeout, docker, image: image.clone(), authorization: None }
    }

    /// The manifest of a tag, and its content type.
    pub(super) async fn manifest(&mut self, tag: &str) -> Result<(String, Bytes), Failure> {
        let response = self.send(Method::GET, &format!("manifests/{tag}"), &manifest::accepted()).await?;
        self.body(response).await
    }

    /// The manifest of this digest, and its content type.
    pub(super) async fn manifest_by(&mut self, digest: Digest) -> Result<(String, Bytes), Failure> {
        let (content_type, body) = self.manifest(&format!("sha256:{digest}")).await?;
        self.is(digest, &body)?;
        Ok((content_type, body))
    }

    /// The blob of this digest.
    pub(super) async fn blob(&mut self, digest: Digest, most: u64) -> Result<Bytes, Failure> {
        let response = self.send(Method::GET, &format!("blobs/sha256:{digest}"), "*/*").await?;
        let bytes = self.read(response, most).await?;
        self.is(digest, &bytes)?;
        Ok(bytes)
    }

    fn is(&self, digest: Digest, bytes: &[u8]) -> Result<(), Failure> {
        if Digest::of(bytes) == digest {
            return Ok(());
        }
        Err(self.failure(&format!("the registry answered with other bytes than those of `sha256:{digest}`"), None))
    }

    /// The body of a manifest, or of an index; an answer that is an error is one.
    pub(super) async fn body(&self, response: Response) -> Result<(String, Bytes), Failure> {
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        Ok((content_type, self.read(response, MAX_MANIFEST_BYTES).await?))
    }

    async fn read(&self, response: Response, most: u64) -> Result<Bytes, Failure> {
        read(response, most).await.map_err(|error| match error {
            ReadError::TooLarge => {
                self.failure(&format!("the registry answered with more than {most} bytes, the most that is read"), None)
            }
            ReadError::Broken(reason) => self.failure(&reason, None),
        })
    }

    /// Sends a request, and takes nothing but `200 OK` for an answer.
    pub(super) async fn send(&mut self, method: Method, path: &str, accept: &str) -> Result<Response, Failure> {
        let response = self.ask(method, path, accept).await?;
        if response.status() == StatusCode::OK { Ok(response) } else { Err(self.refused(response).await) }
    }

    /// Sends a request; again with credentials where the registry demands them.
    pub(super) async fn ask(&mut self, method: Method, path: &str, accept: &str) -> Result<Response, Failure> {
        let response = self.request(method.clone(), path, accept).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        // They are looked up each time, so that new ones are taken: a login needs no restart.
        let credentials = credentials::find(self.docker.clone(), self.image.host().to_owned()).await;
        let credentials = credentials.map_err(|reason| self.failure(&reason, None))?;
        let is_known = credentials.is_some();
        self.authorization = self.authorize(response.headers(), credentials).await?;
        if self.authorization.is_none() {
            return Err(self.unknown(is_known));
        }
        let response = self.request(method, path, accept).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.authorization = None;
            return Err(self.unknown(is_known));
        }
        Ok(response)
    }

    async fn request(&self, method: Method, path: &str, accept: &str) -> Result<Response, Failure> {
        let scheme = if self.image.is_local() { "http" } else { "https" };
        let text = format!("{scheme}://{}/v2/{}/{path}", self.image.host(), self.image.0.name());
        let url = Url::parse(&text).map_err(|error| self.failure(&error.to_string(), None))?;
        let mut request = self.client.request(method, url).header(ACCEPT, accept).timeout(self.timeout);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        self.sent(request).await
    }

    async fn sent(&self, request: reqwest::RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.failure(&describe(error), None))?;
        if is_safe(response.url()) { Ok(response) } else { Err(self.failure("a redirect to plain http", None)) }
    }

    /// What the registry takes us by, for what it demands; none where we have nothing.
    async fn authorize(
        &self,
        headers: &HeaderMap,
        credentials: Option<Credentials>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let challenge = credentials::Challenge::of(headers);
        let Some((realm, service)) = challenge.bearer else {
            let is_basic = challenge.is_basic;
            return Ok(credentials.filter(|_| is_basic).and_then(|credentials| credentials.basic()));
        };
        let realm = Url::parse(&realm).ok().filter(|realm| {
            // A registry elsewhere has no business with this machine's ports, nor with credentials in the clear.
            realm.scheme() == "https" || self.image.is_local() && is_safe(realm)
        });
        let Some(realm) = realm else {
            return Err(self.failure("the registry sends us for a token to a place without TLS", None));
        };
        let scope = format!("repository:{}:pull", self.image.0.name());
        let request = credentials::token_request(&self.client, realm, service.as_deref(), &scope, credentials.as_ref());
        let response = self.sent(request.timeout(self.timeout)).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(self.unknown(credentials.is_some())),
            _ => return Err(self.refused(response).await),
        }
        let body = self.read(response, MAX_ANSWER_BYTES).await?;
        let refused = || self.failure("the registry's answer with a token cannot be read", None);
        credentials::token(&body).map(Some).ok_or_else(refused)
    }

    /// The registry does not know us.
    fn unknown(&self, is_known: bool) -> Failure {
        let host = self.image.host();
        let login = format!("`docker login {host}` stores them");
        if is_known {
            let reason = format!("the registry refuses the credentials for `{host}` (401 Unauthorized)");
            return self.failure(&reason, Some(format!("{login} anew")));
        }
        let place = self.docker.as_ref().map(|folder| format!(" in `{}`", folder.join("config.json").display()));
        let place = place.unwrap_or_default();
        let reason =
            format!("the registry demands credentials (401 Unauthorized), and there are none for `{host}`{place}");
        self.failure(&reason, Some(login))
    }

    /// An answer that is an error, in words.
    async fn refused(&self, response: Response) -> Failure {
        let status = response.status();
        let wait = retry_after(response.headers());
        let body = read(response, MAX_ANSWER_BYTES).await.unwrap_or_default();
        let said = manifest::error(&body);
        let said = said.map_or_else(|| status.to_string(), |said| format!("{status}: {said}"));
        let (reason, hint) = match status {
            StatusCode::UNAUTHORIZED => return self.unknown(self.authorization.is_some()),
            StatusCode::FORBIDDEN => {
                let host = self.image.host();
                let hint = format!("`docker login {host}` with an account that may pull it");
                (format!("the registry does not allow it ({said})"), Some(hint))
            }
            StatusCode::NOT_FOUND => {
                let hint = format!("`wkg oci push {} FILE` puts a module there", self.image.0);
                (format!("the registry does not have it ({said})"), Some(hint))
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let hint = "registries often allow more to those who log in: `docker login`".to_owned();
                (format!("the registry was asked too often ({said})"), Some(hint))
            }
            _ => (format!("the registry answered `{said}`"), None),
        };
        Failure::Unavailable(self.reason(&reason, hint), wait)
    }

    pub(super) fn failure(&self, reason: &str, hint: Option<String>) -> Failure {
        self.reason(reason, hint).into()
    }

    fn reason(&self, reason: &str, hint: Option<String>) -> Unavailable {
        Unavailable::Registry { image: self.image.to_string(), reason: reason.to_owned(), hint }
    }
}
