//! A module in an OCI registry, in the format of the CNCF (`wkg oci push` makes it): an image manifest whose config is
//! `application/vnd.wasm.config.v0+json` and whose only layer is `application/wasm`.
//!
//! <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>, and the OCI distribution specification 1.1.
//!
//! The manifest's digest is asked for first, and nothing is fetched that is known by its digest. Everything that is fetched is
//! checked against the digest that it was asked for by.

mod credentials;
mod registry;
mod signatures;

use std::fmt;

use bytes::Bytes;
use oci_client::Reference;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    OciDescriptor, OciImageManifest, OciManifest,
};
use reqwest::Method;

use super::access::Access;
use super::follow::{Failure, Found};
use super::source::{SourceError, Unavailable, is_loopback};
use super::trust::Trust;
use super::{Digest, MAX_MODULE_BYTES};
use registry::Registry;

/// The media type of the config of a wasm artifact.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The media type of its layer.
const LAYER: &str = "application/wasm";

/// The largest manifest that is read, in bytes: as large as registries must take.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// What a registry may answer: lists, too, so that one is told for what it is.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

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
        let refused = |reason: &str| {
            // What stands before an `@` in the registry's place may be a password.
            let first = text.trim_start_matches('/').split('/').next().unwrap_or_default();
            let shown = if first.contains('@') || text.contains('?') { "//…" } else { text };
            Err(SourceError::Image { image: format!("oci:{shown}"), reason: reason.to_owned() })
        };
        let Some(named) = text.strip_prefix("//") else { return refused("there is no `//` behind `oci:`") };
        let (registry, _) = named.split_once('/').unwrap_or((named, ""));
        if registry.is_empty() || registry == named {
            return refused("there is no registry and name");
        }
        if registry.contains('@') {
            return refused("credentials belong into the docker configuration");
        }
        if !registry.contains(['.', ':']) && registry != "localhost" {
            return refused(&format!("`{registry}` is no registry's host name"));
        }
        let reference = match named.parse::<Reference>() {
            Ok(reference) => reference,
            Err(error) => return refused(&error.to_string()),
        };
        match reference.digest().map(Digest::parse) {
            Some(None) => refused("its digest is no SHA-256"),
            Some(Some(_)) | None => Ok(Self(reference)),
        }
    }

    /// The digest of the manifest, where the image is named by it: then it never changes.
    fn digest(&self) -> Option<Digest> {
        self.0.digest().and_then(Digest::parse)
    }

    fn host(&self) -> &str {
        self.0.resolve_registry()
    }

    /// Whether the registry is on this machine, and so spoken to without TLS.
    fn is_local(&self) -> bool {
        let host = self.host();
        is_loopback(host.rsplit_once(':').map_or(host, |(name, _)| name))
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
        if u64::try_from(layer.size).is_ok_and(|size| size > MAX_MODULE_BYTES) {
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
        let response = self.registry.send(Method::HEAD, &path, MANIFESTS).await?;
        let header = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        if let Some(digest) = header.and_then(Digest::parse) {
            return Ok(digest);
        }
        // Registries should say it, and need not.
        let (_, body) = self.registry.manifest(&tag).await?;
        Ok(Digest::of(&body))
    }

    /// The one layer of the manifest of this digest.
    async fn layer(&mut self, digest: Digest) -> Result<OciDescriptor, Failure> {
        let (content_type, body) = self.registry.manifest_by(digest).await?;
        let manifest = self.artifact(&content_type, &body)?;
        let config = &manifest.config.media_type;
        if config != CONFIG {
            return Err(self.foreign(&format!("its config is `{}` and not `{CONFIG}`", shown(config))));
        }
        match <[OciDescriptor; 1]>::try_from(manifest.layers) {
            Ok([layer]) if layer.media_type == LAYER => Ok(layer),
            Ok([layer]) => Err(self.foreign(&format!("its layer is `{}` and not `{LAYER}`", shown(&layer.media_type)))),
            Err(layers) => Err(self.foreign(&format!("it has {} layers and not one", layers.len()))),
        }
    }

    /// A manifest that is one of an artifact.
    fn artifact(&self, content_type: &str, body: &[u8]) -> Result<OciImageManifest, Failure> {
        let kind: Kind = serde_json::from_slice(body)
            .map_err(|error| self.foreign(&format!("its manifest cannot be read: {error}")))?;
        let media_type = kind.media_type.as_deref().unwrap_or(content_type);
        match media_type {
            OCI_IMAGE_INDEX_MEDIA_TYPE | IMAGE_MANIFEST_LIST_MEDIA_TYPE => {
                return Err(self.foreign(&format!("it is a list of images for different platforms (`{media_type}`)")));
            }
            OCI_IMAGE_MEDIA_TYPE | IMAGE_MANIFEST_MEDIA_TYPE => {}
            other => return Err(self.foreign(&format!("its manifest is `{}`", shown(other)))),
        }
        match serde_json::from_slice(body) {
            Ok(OciManifest::Image(manifest)) if manifest.schema_version == 2 => Ok(manifest),
            Ok(OciManifest::Image(manifest)) => {
                Err(self.foreign(&format!("its manifest has version {}", manifest.schema_version)))
            }
            Ok(OciManifest::ImageIndex(_)) => Err(self.foreign("it is a list of images for different platforms")),
            Err(_) => Err(self.foreign("its manifest lacks a config and layers")),
        }
    }

    fn foreign(&self, reason: &str) -> Failure {
        let hint = format!("`wkg oci push {} FILE` pushes a module as one", self.image.0);
        self.registry.failure(&format!("it is no wasm artifact: {reason}"), Some(hint))
    }

    fn sha256(&self, digest: &str) -> Result<Digest, Failure> {
        let refused = || self.registry.failure(&format!("the digest `{}` is no SHA-256", shown(digest)), None);
        digest.strip_prefix("sha256:").and_then(Digest::parse).ok_or_else(refused)
    }
}

/// What every manifest says of itself.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: Option<String>,
}

/// What a registry said, for people: cut, and without what a terminal would obey.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests;
