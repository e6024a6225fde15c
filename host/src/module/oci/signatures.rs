//! The signatures of an image: artifacts that refer to it (OCI 1.1), found by the registry's referrers API, or by the tag that
//! stands in for it where a registry has none.
//!
//! `oras attach --artifact-type application/vnd.minisign.signature IMAGE FILE.minisig` makes one.

use reqwest::{Method, StatusCode};

use super::super::Digest;
use super::super::follow::Failure;
use super::super::trust::{MAX_SIGNATURE_BYTES, MAX_SIGNATURES};
use super::Pull;
use super::manifest::{self, Index, Manifest};

/// The type of an artifact whose only layer is a minisign signature.
const SIGNATURE: &str = "application/vnd.minisign.signature";

impl Pull {
    /// The signatures of the module that was given last.
    pub(in crate::module) async fn signatures(&mut self) -> Result<Vec<String>, Failure> {
        let Some(subject) = self.seen else { return Ok(Vec::new()) };
        let index = self.referrers(subject).await?;
        let of_signatures =
            index.manifests.into_iter().filter(|entry| entry.artifact_type.as_deref() == Some(SIGNATURE));
        let mut signatures = Vec::new();
        for entry in of_signatures.take(MAX_SIGNATURES) {
            let digest = self.sha256(&entry.digest)?;
            let (_, body) = self.registry.manifest_by(digest).await?;
            if let Some(layer) = Manifest::only_layer(&body) {
                let bytes = self.registry.blob(self.sha256(&layer.digest)?, MAX_SIGNATURE_BYTES).await?;
                signatures.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        Ok(signatures)
    }

    /// What refers to this manifest.
    async fn referrers(&mut self, subject: Digest) -> Result<Index, Failure> {
        let path = format!("referrers/sha256:{subject}?artifactType={SIGNATURE}");
        if let Some(index) = self.index(&path).await? {
            return Ok(index);
        }
        let index = self.index(&format!("manifests/sha256-{subject}")).await?;
        Ok(index.unwrap_or_default())
    }

    /// The index there; none where there is nothing, or no such API.
    async fn index(&mut self, path: &str) -> Result<Option<Index>, Failure> {
        let response = self.registry.ask(Method::GET, path, &manifest::accepted()).await?;
        match response.status() {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => return Ok(None),
            _ => {}
        }
        let (_, body) = self.registry.body(response).await?;
        let refused = |error| self.registry.failure(&format!("its list of referrers cannot be read: {error}"), None);
        serde_json::from_slice(&body).map(Some).map_err(refused)
    }
}
