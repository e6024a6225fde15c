//! What all jobs of an agent share: the HTTP clients, the credentials that no module ever sees, the figures that jobs export.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde::Deserialize;

use super::dns::DnsConfig;
use super::dns_update::Zone;
use super::http::{ClientError, Clients, HttpConfig};
use super::metric::Figures;
use super::secret::SecretError;
use super::secrets::{Bound, SecretsConfig};
use super::slack::{Credentials, Ids, Pace, SlackConfig};
use crate::dns::resolvers::Resolvers;

/// The top-level tables `[http]`, `[secrets]`, `[slack]` and `[dns]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServicesConfig {
    /// `[http]`.
    pub http: HttpConfig,
    /// `[secrets]`.
    pub secrets: SecretsConfig,
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
    secrets: BTreeMap<String, Bound>,
    slack: Credentials,
    pace: Arc<Pace>,
    ids: Ids,
    resolvers: Resolvers,
    zone: Arc<RwLock<Zone>>,
    denials: Denials,
    figures: Figures,
}

/// What was denied, counted by `job` and `capability`.
pub type Denials = Family<[(&'static str, String); 2], Counter>;

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
        let (secrets, slack) = (config.secrets.resolve(base)?, config.slack.resolve(base)?);
        Ok(Self::of(clients, secrets, slack, config.dns.resolvers()))
    }

    /// The services of these clients and credentials.
    pub fn with_clients(clients: Clients, slack: Credentials) -> Self {
        Self::with_secrets(clients, BTreeMap::new(), slack)
    }

    /// The same, with secrets that jobs may use, by name.
    pub fn with_secrets(clients: Clients, secrets: BTreeMap<String, Bound>, slack: Credentials) -> Self {
        Self::of(clients, secrets, slack, Resolvers::default())
    }

    fn of(clients: Clients, secrets: BTreeMap<String, Bound>, slack: Credentials, resolvers: Resolvers) -> Self {
        Self(Arc::new(Shared {
            clients,
            secrets,
            slack,
            pace: Arc::default(),
            ids: Ids::default(),
            resolvers,
            zone: Arc::default(),
            denials: Denials::default(),
            figures: Figures::default(),
        }))
    }

    /// The same services, which go on where others stopped: what was denied, the figures of jobs, Slack's pace, and the zone.
    #[must_use]
    pub fn continuing(mut self, before: &Self) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            (shared.denials, shared.figures) = (before.0.denials.clone(), before.0.figures.clone());
            shared.pace = Arc::clone(&before.0.pace);
            // Jobs that go on with those before are told of the same zone.
            shared.zone = Arc::clone(&before.0.zone);
        }
        self
    }

    /// The HTTP clients.
    pub fn clients(&self) -> &Clients {
        &self.0.clients
    }

    /// A secret that jobs may use, by its name.
    pub fn secret(&self, name: &str) -> Option<&Bound> {
        self.0.secrets.get(name)
    }

    /// Who we are at Slack.
    pub fn slack(&self) -> &Credentials {
        &self.0.slack
    }

    /// The zone that jobs change; one without an account until [`Self::set_zone`].
    pub fn zone(&self) -> Zone {
        self.0.zone.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says which zone jobs change, and which names are never changed: at the start, and again whenever jobs come or go.
    pub fn set_zone(&self, zone: Zone) {
        *self.0.zone.write().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    /// Whom a job's lookups ask.
    pub fn resolvers(&self) -> &Resolvers {
        &self.0.resolvers
    }

    /// The figures that jobs export.
    pub fn figures(&self) -> &Figures {
        &self.0.figures
    }

    /// When Slack's channels may be posted to.
    pub(super) fn slack_pace(&self) -> &Pace {
        &self.0.pace
    }

    /// The ids of Slack's channels.
    pub(super) fn slack_ids(&self) -> &Ids {
        &self.0.ids
    }

    /// Counts what a job asked of a capability and was not granted.
    pub(super) fn count_denied(&self, job: &str, capability: &str) {
        let labels = [("job", job.to_owned()), ("capability", capability.to_owned())];
        self.0.denials.get_or_create(&labels).inc();
    }

    /// What was denied since the start, for whoever exports it.
    pub fn denials(&self) -> &Denials {
        &self.0.denials
    }

    /// How often a capability denied something to a job since the start.
    pub fn denied(&self, job: &str, capability: &str) -> u64 {
        let labels = [("job", job.to_owned()), ("capability", capability.to_owned())];
        self.0.denials.get(&labels).map_or(0, |count| count.get())
    }
}
