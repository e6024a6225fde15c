//! What all jobs of an agent share: the HTTP clients, the credentials that no module ever sees, the figures that jobs export.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use super::dns::DnsConfig;
use super::http::{ClientError, Clients, HttpConfig};
use super::metric::Figures;
use super::secret::SecretError;
use super::slack::{Credentials, SlackConfig};
use crate::dns::resolvers::Resolvers;

/// The top-level tables `[http]`, `[slack]` and `[dns]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServicesConfig {
    /// `[http]`.
    pub http: HttpConfig,
    /// `[slack]`.
    pub slack: SlackConfig,
    /// `[dns]`.
    pub dns: DnsConfig,
}

/// What serves the grants. Clones share it.
#[derive(Debug, Clone)]
pub struct Services(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clients: Clients,
    slack: Credentials,
    resolvers: Resolvers,
    figures: Figures,
    denied: AtomicU64,
}

/// Why there are no services.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// An HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A secret is missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Services {
    /// Reads the secrets and certificates and makes the clients. Paths are relative to `base`, the configuration's folder.
    ///
    /// # Errors
    /// A file or environment variable is missing or unusable.
    pub fn new(config: &ServicesConfig, base: &Path) -> Result<Self, ServicesError> {
        let clients = Clients::new(&config.http.resolve(base)?)?;
        Ok(Self::of(clients, config.slack.resolve(base)?, config.dns.resolvers()))
    }

    /// The services of these clients and credentials.
    pub fn with_clients(clients: Clients, slack: Credentials) -> Self {
        Self::of(clients, slack, Resolvers::default())
    }

    fn of(clients: Clients, slack: Credentials, resolvers: Resolvers) -> Self {
        let (figures, denied) = (Figures::default(), AtomicU64::new(0));
        Self(Arc::new(Shared { clients, slack, resolvers, figures, denied }))
    }

    /// The HTTP clients.
    pub fn clients(&self) -> &Clients {
        &self.0.clients
    }

    /// Who we are at Slack.
    pub fn slack(&self) -> &Credentials {
        &self.0.slack
    }

    /// Whom a job's lookups ask.
    pub fn resolvers(&self) -> &Resolvers {
        &self.0.resolvers
    }

    /// The figures that jobs export.
    pub fn figures(&self) -> &Figures {
        &self.0.figures
    }

    /// Counts a request or message that the grants did not allow.
    pub(super) fn count_denied(&self) {
        self.0.denied.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests and messages the grants did not allow, of all jobs since the start.
    pub fn denied(&self) -> u64 {
        self.0.denied.load(Ordering::Relaxed)
    }
}
