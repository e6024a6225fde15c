//! What sources are reached with, and one source with what makes it trusted.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;

use super::download::Download;
use super::file;
use super::follow::{Failure, Remote, Seeker};
use super::oci::Pull;
use super::pointer::Aim;
use super::source::{Source, Unavailable};
use super::trust::{Trust, Trusted};
use crate::arbiter::Arbiter;

/// The longest a request may take, redirects and body included, where nothing else is said: 30 s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What a source is reached with.
#[derive(Clone)]
pub struct Access {
    /// From [`client`](super::client).
    pub client: Client,
    /// The longest a request may take, redirects and body included; [`REQUEST_TIMEOUT`] in earnest.
    pub timeout: Duration,
    /// The folder of the docker configuration, whose `config.json` holds the credentials of registries; none for no credentials.
    pub docker: Option<PathBuf>,
    /// The arbiter of the very name that a pointer stands at, where that is in the arbiter's zone: it reads without a cache, and
    /// signed. Without it, the zone's authoritative servers are asked.
    pub pointer: Option<Arc<dyn Arbiter>>,
}

impl Access {
    /// With the docker configuration of this user: in `DOCKER_CONFIG`, or in `.docker` at home.
    pub fn new(client: Client) -> Self {
        let home = || std::env::home_dir().map(|home| home.join(".docker"));
        let docker = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(home);
        Self { client, timeout: REQUEST_TIMEOUT, docker, pointer: None }
    }
}

/// Without the client, which has nothing to say.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = self.pointer.as_ref().map(|arbiter| arbiter.place());
        f.debug_struct("Access").field("docker", &self.docker).field("pointer", &pointer).finish_non_exhaustive()
    }
}

/// Where modules come from, what makes them trusted, and what the source is reached with.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Where from.
    pub source: Source,
    /// What is demanded of them.
    pub trust: Trust,
    /// By which means.
    pub access: Access,
}

impl Origin {
    /// Reads the module once, as it stands there now: what `soloist job inspect` does. A file that is being changed is waited for,
    /// and so is a signature that does not fit yet, for some seconds.
    ///
    /// # Errors
    /// There is no module to be had, or it is not to be trusted.
    pub async fn fetch(&self) -> Result<Trusted, Unavailable> {
        let Some(remote) = self.remote() else {
            let Source::File(path) = &self.source else { return Err(Unavailable::Ending) };
            return file::read_once(path, &self.trust).await;
        };
        let mut seeker = Seeker::new(remote, self.trust.clone());
        seeker.ask_patiently().await.map_err(|failure| match failure {
            Failure::Unavailable(reason, _) | Failure::Senseless(reason) => reason,
            Failure::Distrust(distrust) => Unavailable::Distrusted { place: self.source.to_string(), distrust },
        })
    }

    /// The source as one that is asked over a network; none for a file.
    pub(super) fn remote(&self) -> Option<Remote> {
        Some(match &self.source {
            Source::File(_) => return None,
            Source::Url(url) => Remote::Url(Download::new(&self.access, url.clone())),
            Source::Oci(image) => Remote::Oci(Box::new(Pull::new(&self.access, image.clone()))),
            Source::Pointer(pointer) => Remote::Pointer(Box::new(Aim::new(&self.access, pointer.clone()))),
        })
    }
}
