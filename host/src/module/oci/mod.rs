//! A module in an OCI registry, in the format of the CNCF (`wkg oci push` makes it): an image manifest whose config is
//! `application/vnd.wasm.config.v0+json` and whose only layer is `application/wasm`.
//!
//! <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>, and the OCI distribution specification 1.1.
//!
//! The manifest's digest is asked for first, and nothing is fetched that is known by its digest. Everything that is fetched is
//! checked against the digest that it was asked for by.

mod credentials;
mod manifest;
mod reference;
mod registry;
mod signatures;

use std::fmt;

use bytes::Bytes;
use reqwest::Method;

use super::access::Access;
use super::follow::{Failure, Found};
use super::source::{SourceError, Unavailable};
use super::trust::Trust;
use super::{Digest, MAX_MODULE_BYTES};
use manifest::{Descriptor, Manifest};
use reference::Reference;
use registry::Registry;

/// The largest manifest that is read, in bytes: as large as registries must take.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// `REGISTRY/NAME:TAG` or `REGISTRY/NAME@sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image(Reference);

impl Image {
    /// Reads what stands behind `oci:`. The registry is named: there is none by default. Without a tag or a digest, the tag is
    /// `latest`.
    ///
    /// # Errors
    /// It is no such reference.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let refused = |reason: String| {
            // What stands before an `@` in the registry's place, or before one that no digest follows, may be a password.
            let is_digest = |rest: &str| ["sha256:", "sha384:", "sha512:"].iter().any(|name| rest.starts_with(name));
            let first = text.trim_start_matches('/').split('/').next().unwrap_or_default();
            let may_be_secret = first.contains('@')
                || text.contains(['?', '#'])
                || text.split('@').skip(1).any(|rest| !is_digest(rest));
            let shown = if may_be_secret { "//…".to_owned() } else { shown(text) };
            SourceError::Image { image: format!("oci:{shown}"), reason }
        };
        let named = text.strip_prefix("//").ok_or_else(|| refused("there is no `//` behind `oci:`".to_owned()))?;
        Reference::parse(named).map(Self).map_err(refused)
    }

    /// The digest of the manifest, where the image is named by it: then it never changes.
    const fn digest(&self) -> Option<Digest> {
        self.0.digest()
    }

    fn host(&self) -> &str {
        self.0.host()
    }

    /// Whether the registry is on this machine, and so spoken to without TLS.
    fn is_local(&self) -> bool {
        self.0.is_local()
    }
}

/// As in the configuration.
impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}", self.0)
    }
}

/// An image that is asked for, again and again.
#[derive(Debug)]
pub(super) struct Pull {
    image: Image,
    registry: Registry,
    /// The manifest whose module was given last.
    seen: Option<Digest>,
}

impl Pull {
    pub(super) fn new(access: &Access, image: Image) -> Self {
        Self { registry: Registry::new(access, &image), image, seen: None }
    }

    /// Gets the module, unless it is the one that was given last, or the `current` one.
    pub(super) async fn find(&mut self, trust: &Trust, current: Option<Digest>) -> Result<Found<Bytes>, Failure> {
        // What an unchanging name stands for needs no second look.
        if self.seen.is_some() && self.image.digest().is_some() {
            return Ok(Found::Same);
        }
        let digest = match self.image.digest() {
            Some(digest) => digest,
            None => self.resolve().await?,
        };
        if self.seen == Some(digest) {
            return Ok(Found::Same);
        }
        let layer = self.layer(digest).await?;
        let module = self.sha256(&layer.digest)?;
        if current == Some(module) {
            self.seen = Some(digest);
            return Ok(Found::Current(module));
        }
        // What is not allowed need not be fetched.
        trust.allows(module)?;
        if layer.size > MAX_MODULE_BYTES {
            return Err(Unavailable::TooLarge(self.image.to_string()).into());
        }
        let bytes = self.registry.blob(module, MAX_MODULE_BYTES).await?;
        self.seen = Some(digest);
        Ok(Found::New(bytes))
    }

    /// The digest of the manifest that the tag stands for now.
    async fn resolve(&mut self) -> Result<Digest, Failure> {
        let tag = self.image.0.tag().unwrap_or("latest").to_owned();
        let path = format!("manifests/{tag}");
        let response = self.registry.send(Method::HEAD, &path, &manifest::accepted()).await?;
        let header = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        if let Some(digest) = header.and_then(Digest::parse) {
            return Ok(digest);
        }
        // Registries should say it, and need not.
        let (_, body) = self.registry.manifest(&tag).await?;
        Ok(Digest::of(&body))
    }

    /// The one layer of the manifest of this digest.
    async fn layer(&mut self, digest: Digest) -> Result<Descriptor, Failure> {
        let (content_type, body) = self.registry.manifest_by(digest).await?;
        Manifest::module(&content_type, &body).map_err(|reason| self.foreign(&reason))
    }

    fn foreign(&self, reason: &str) -> Failure {
        let hint = format!("`wkg oci push {} FILE` pushes a module as one", self.image.0);
        self.registry.failure(&format!("it is no wasm artifact: {reason}"), Some(hint))
    }

    fn sha256(&self, digest: &str) -> Result<Digest, Failure> {
        let refused = || self.registry.failure(&format!("the digest `{}` is no SHA-256", shown(digest)), None);
        reference::sha256(digest).ok_or_else(refused)
    }
}

/// What a registry said, for people: cut, and without what a terminal would obey.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests;
