//! The configuration file: TOML in, a checked [`Config`] out, or an error that says where and what to do.

mod check;
mod error;
mod parts;
mod place;
mod raw;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::Name;

pub use error::ConfigError;
pub use parts::Parts;
pub use raw::Size;

use crate::arbiter::powerdns::{self, ApiKey};
use crate::arbiter::tsig::Key;
use crate::capability::{self, Grants, SecretError, SecretSource};
use crate::files;
use crate::module::{Source, Trust};
use crate::round::contender::{Rules, Settle};
use crate::round::{Form, Seal, SealKey};
use crate::runtime::{CompileLimits, Invocation, Limits};
use error::{Problem, invalid};

/// The largest configuration file, in bytes.
pub const MAX_FILE: u64 = 1024 * 1024;
/// The most jobs in one configuration.
pub const MAX_JOBS: usize = 1000;
/// How long a run may take where nothing else is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest a run may take: one day.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(86_400);
/// The shortest lease: below it, one lost packet loses the round.
pub const MIN_LEASE: Duration = Duration::from_secs(2);
/// The longest time that a claim is waited for to settle.
pub const MAX_SETTLE: Duration = Duration::from_secs(600);
/// The longest time to live of a record, in seconds: one day.
pub const MAX_TTL: u32 = 86_400;
/// The most attempts at a round.
pub const MAX_ATTEMPTS: u32 = 100;
/// The most rounds that are made up for.
pub const MAX_CATCH_UP: u32 = 1000;
/// How many rounds are made up for where nothing else is said.
pub const DEFAULT_CATCH_UP: u32 = 10;
/// The shortest time that a round has to begin.
pub const MIN_START_DEADLINE: Duration = Duration::from_secs(1);
/// What a lease has beyond the longest run by default, for the two writes of a round.
pub const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// The environment variable that names the agent, before `[agent] name`: one file for many agents.
pub const AGENT_NAME: &str = "SOLOIST_AGENT_NAME";

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// The agent.
    pub agent: Agent,
    /// The arbiter of every job's record.
    pub arbiter: Arbiter,
    /// What the capabilities of all jobs share.
    pub services: capability::ServicesConfig,
    /// How records are sealed, where a job says nothing else.
    pub seals: Seals,
    /// Where modules are kept.
    pub store: Store,
    /// What compiling a module may take.
    pub compiler: CompileLimits,
    /// The folder that relative paths in it are relative to.
    pub base: PathBuf,
    /// The jobs, by name.
    pub jobs: Vec<Job>,
    /// What it says part by part, to be compared with another one.
    pub parts: Parts,
}

/// `[agent]`: this process.
#[derive(Debug, Clone)]
pub struct Agent {
    /// The readable part of its id: lower-case letters, digits and hyphens, at most 40.
    pub name: String,
    /// How long a stop waits for the runs under way before they are given back.
    pub grace: Duration,
    /// The longest sleep without a look at a record.
    pub reread: Duration,
    /// Where the metrics are served, over HTTP; nowhere if nothing is said.
    pub metrics: Option<SocketAddr>,
}

/// `[arbiter]`: where the records live.
#[derive(Debug, Clone)]
pub enum Arbiter {
    /// The primary server of a zone.
    Rfc2136 {
        /// `address:port` or `name:port`.
        server: String,
        /// The zone.
        zone: Name,
        /// What signs the updates.
        key: Key,
        /// The TTL of the records, in seconds.
        ttl: u32,
        /// The longest wait for one answer.
        timeout: Duration,
    },
    /// The HTTP API of a PowerDNS server.
    PowerDns {
        /// Where it is.
        url: reqwest::Url,
        /// What the API calls its server.
        server_id: String,
        /// The zone.
        zone: Name,
        /// What the API takes us by.
        key: ApiKey,
        /// The TTL of the records, in seconds.
        ttl: u32,
        /// The longest that reading, and again replacing, takes.
        timeout: Duration,
        /// How long a claim is waited for to settle.
        settle: Duration,
    },
    /// This process: for trying things out, since no other agent sees it.
    Memory,
}

/// `[store]`: where modules and their machine code are kept.
#[derive(Debug, Clone)]
pub struct Store {
    /// The folder; none where neither the configuration nor the environment names one.
    pub path: Option<PathBuf>,
    /// The most that it holds, in bytes.
    pub size: u64,
}

/// `[seal]`: how records are sealed, and with which keys.
#[derive(Debug, Clone, Default)]
pub struct Seals {
    /// How records are written; none for as they are.
    pub form: Option<Form>,
    /// The keys, at most [`MAX_SEAL_KEYS`](crate::round::MAX_SEAL_KEYS): the first one seals, each of them opens.
    pub keys: Vec<SealKey>,
    /// Whether records without a seal are accepted beside sealed ones.
    pub accept_unsealed: bool,
}

impl Seals {
    /// The seal of the record at a name.
    pub fn of(&self, record: &Name) -> Seal {
        let mut name = record.to_lowercase();
        name.set_fqdn(true);
        // Without a key there is no seal; a form without a key was refused.
        Seal::new(self.form, self.keys.clone(), &name.to_ascii(), self.accept_unsealed).unwrap_or_default()
    }
}

/// The key of a seal that stands in a file.
///
/// # Errors
/// It cannot be read, or is no key as `soloist seal key` makes it.
pub fn seal_key(path: &Path) -> Result<SealKey, SecretError> {
    check::seal_key(&SecretSource::File(path.to_owned()), Path::new(""))
}

impl Arbiter {
    /// The zone that every record must be in, where there is one.
    pub const fn zone(&self) -> Option<&Name> {
        match self {
            Self::Rfc2136 { zone, .. } | Self::PowerDns { zone, .. } => Some(zone),
            Self::Memory => None,
        }
    }

    /// How a claim is made sure of, where the arbiter only overwrites.
    pub fn settle(&self) -> Option<Settle> {
        match self {
            Self::PowerDns { settle, .. } => Some(powerdns::settle(*settle)),
            Self::Rfc2136 { .. } | Self::Memory => None,
        }
    }
}

/// `[job.NAME]`.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// The name of its TXT record.
    pub record: Name,
    /// When and how often.
    pub rules: Rules,
    /// The longest run.
    pub timeout: Duration,
    /// Where its module comes from.
    pub module: Source,
    /// What makes a module from there trusted.
    pub trust: Trust,
    /// What a run may use.
    pub limits: Limits,
    /// Its arguments and environment.
    pub invocation: Arc<Invocation>,
    /// What it may do.
    pub grants: Grants,
    /// Its own settings.
    pub settings: Arc<serde_json::Map<String, serde_json::Value>>,
}

impl Config {
    /// Reads and checks a file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// The first problem found, with its line where it has one.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error| ConfigError::Unreadable { path: path.to_owned(), error };
        let text = files::read_text(path, MAX_FILE).map_err(unreadable)?;
        let base = path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
        Self::parse(&text, path, &base)
    }

    /// Checks a text. `path` is what errors call it, `base` what paths in it are relative to.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, path: &Path, base: &Path) -> Result<Self, ConfigError> {
        let file: raw::File = toml::from_str(text).map_err(|error| ConfigError::syntax(path, text, &error))?;
        // Before any secret is read: one that is replaced meanwhile is a change for whoever looks again.
        let parts = Parts::of(text, base);
        Self::checked(file, base, parts).map_err(|problem| problem.at(path, text))
    }

    fn checked(file: raw::File, base: &Path, parts: Parts) -> Result<Self, Problem> {
        let arbiter = check::arbiter(file.arbiter, base)?;
        let agent = check::agent(file.agent)?;
        let seals = check::seal(file.seal, base)?;
        let store = check::store(file.store, base)?;
        let compiler = check::compiler(&file.compiler)?;
        if file.job.len() > MAX_JOBS {
            return Err(invalid("[job]", format!("{} jobs are more than {MAX_JOBS}", file.job.len())));
        }
        let jobs: Vec<Job> = file
            .job
            .into_iter()
            .map(|(name, raw)| check::job(name, raw, base, &agent, &arbiter, &seals))
            .collect::<Result<_, _>>()?;
        check::refuse_shared_records(&jobs)?;
        check::refuse_unknown_secrets(&jobs, &file.secrets)?;
        check::refuse_changes_of_records(&jobs)?;
        let services =
            capability::ServicesConfig { http: file.http, secrets: file.secrets, slack: file.slack, dns: file.dns };
        Ok(Self { agent, arbiter, services, seals, store, compiler, base: base.to_owned(), jobs, parts })
    }

    /// The job of this name.
    ///
    /// # Errors
    /// Names the jobs that there are.
    pub fn job(&self, name: &str) -> Result<&Job, ConfigError> {
        self.jobs.iter().find(|job| job.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.jobs.iter().map(|job| job.name.as_str()).collect();
            ConfigError::NoSuchJob { name: name.to_owned(), names: names.join("`, `") }
        })
    }
}
