//! The configuration file: TOML in, a checked [`Config`] out, or an error that says where and what to do.

mod error;
mod raw;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::Name;

pub use error::ConfigError;
pub use raw::Size;

use crate::arbiter::tsig::{Algorithm, Key};
use crate::capability::{self, Grants};
use crate::module::Source;
use crate::round::Schedule;
use crate::round::contender::{Backoff, Rules};
use crate::runtime::Limits;
use error::invalid;

/// The largest configuration file, in bytes.
pub const MAX_FILE: u64 = 1024 * 1024;
/// The most jobs in one configuration.
pub const MAX_JOBS: usize = 1000;
/// The longest a run may take: one day.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(86_400);
/// The shortest lease: below it, one lost packet loses the round.
pub const MIN_LEASE: Duration = Duration::from_secs(2);
/// The most attempts at a round.
pub const MAX_ATTEMPTS: u32 = 100;
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
    /// The folder that relative paths in it are relative to.
    pub base: PathBuf,
    /// The jobs, by name.
    pub jobs: Vec<Job>,
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
    /// This process: for trying things out, since no other agent sees it.
    Memory,
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
    /// What a run may use.
    pub limits: Limits,
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
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > MAX_FILE {
            return Err(unreadable(std::io::Error::other(format!("it has {length} bytes, more than {MAX_FILE}"))));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let base = path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
        Self::parse(&text, path, &base)
    }

    /// Checks a text. `path` is what errors call it, `base` what paths in it are relative to.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, path: &Path, base: &Path) -> Result<Self, ConfigError> {
        let file: raw::File = toml::from_str(text).map_err(|error| ConfigError::syntax(path, text, &error))?;
        let arbiter = arbiter(file.arbiter, base)?;
        let agent = agent(file.agent)?;
        if file.job.len() > MAX_JOBS {
            return Err(invalid("[job]", format!("{} jobs are more than {MAX_JOBS}", file.job.len())));
        }
        let jobs: Vec<Job> =
            file.job.into_iter().map(|(name, raw)| job(name, raw, base, &agent, &arbiter)).collect::<Result<_, _>>()?;
        refuse_shared_records(&jobs)?;
        let services = capability::ServicesConfig { http: file.http, slack: file.slack };
        Ok(Self { agent, arbiter, services, base: base.to_owned(), jobs })
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

fn refuse_shared_records(jobs: &[Job]) -> Result<(), ConfigError> {
    for (index, job) in jobs.iter().enumerate() {
        if let Some(other) = jobs[..index].iter().find(|other| other.record == job.record) {
            let place = format!("[job.{}] record", job.name);
            return Err(invalid(&place, format!("`{}` is the record of job `{}` already", job.record, other.name)));
        }
    }
    Ok(())
}

fn agent(raw: raw::Agent) -> Result<Agent, ConfigError> {
    let name = std::env::var(AGENT_NAME).ok().or(raw.name).unwrap_or_else(host_name);
    let name: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name: String = name.trim_matches('-').chars().take(40).collect();
    if name.is_empty() {
        return Err(invalid("[agent] name", "must have a letter or digit"));
    }
    let grace = raw.grace.map_or(Duration::from_secs(10), |span| span.0);
    let reread = raw.reread.map_or(Duration::from_secs(30), |span| span.0);
    within("[agent] grace", grace, Duration::ZERO, Duration::from_secs(3600))?;
    within("[agent] reread", reread, Duration::from_secs(1), Duration::from_secs(3600))?;
    Ok(Agent { name, grace, reread })
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // The first label: records are public.
    name.split('.').next().filter(|label| !label.is_empty()).unwrap_or("agent").to_owned()
}

fn arbiter(raw: raw::Arbiter, base: &Path) -> Result<Arbiter, ConfigError> {
    match raw.kind.as_str() {
        "memory" => Ok(Arbiter::Memory),
        "rfc2136" => {
            let server = raw.server.ok_or_else(|| invalid("[arbiter]", "`server` is missing: \"address:port\""))?;
            if server.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
                return Err(invalid(
                    "[arbiter] server",
                    format!("`{server}` is not \"address:port\", such as \"192.0.2.1:53\""),
                ));
            }
            let zone = raw.zone.ok_or_else(|| invalid("[arbiter]", "`zone` is missing: \"example.com\""))?;
            let key = raw.key.ok_or_else(|| {
                invalid("[arbiter]", "`key` is missing: { name = \"soloist\", secret-file = \"soloist.key\" }")
            })?;
            let timeout = raw.timeout.map_or(Duration::from_secs(2), |span| span.0);
            within("[arbiter] timeout", timeout, Duration::from_millis(50), Duration::from_secs(60))?;
            let ttl = raw.ttl.unwrap_or(60);
            if ttl > 86_400 {
                return Err(invalid("[arbiter] ttl", format!("{ttl} seconds are more than a day")));
            }
            Ok(Arbiter::Rfc2136 {
                server,
                zone: domain("[arbiter] zone", &zone)?,
                key: tsig_key(key, base)?,
                ttl,
                timeout,
            })
        }
        other => Err(invalid("[arbiter] kind", format!("`{other}` is no arbiter: `rfc2136` or `memory`"))),
    }
}

fn tsig_key(raw: raw::Key, base: &Path) -> Result<Key, ConfigError> {
    let algorithm = raw.algorithm.as_deref().map_or(Ok(Algorithm::default()), Algorithm::from_str)?;
    match (raw.secret_file, raw.secret_env) {
        (Some(file), None) => Ok(Key::from_file(&raw.name, algorithm, &base.join(file))?),
        (None, Some(variable)) => Ok(Key::from_env(&raw.name, algorithm, &variable)?),
        _ => Err(invalid("[arbiter] key", "needs one of `secret-file` and `secret-env`")),
    }
}

fn job(name: String, raw: raw::Job, base: &Path, agent: &Agent, arbiter: &Arbiter) -> Result<Job, ConfigError> {
    let place = |key: &str| format!("[job.{name}] {key}");
    if name.is_empty() || name.len() > 63 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    {
        return Err(invalid(&format!("[job.{name}]"), "a job's name has 1 to 63 letters, digits, `-` and `_`"));
    }
    let record = domain(&place("record"), &raw.record)?;
    if let Arbiter::Rfc2136 { zone, .. } = arbiter
        && !zone.zone_of(&record)
    {
        return Err(invalid(&place("record"), format!("`{}` is not in the zone `{zone}`", raw.record)));
    }
    if raw.every.0.subsec_nanos() != 0 {
        return Err(invalid(&place("every"), "must be whole seconds"));
    }
    let schedule = Schedule::every(raw.every.0.as_secs())
        .ok_or_else(|| invalid(&place("every"), "must be from 1s to 366 days"))?;
    let timeout = raw.timeout.map_or(Duration::from_secs(30), |span| span.0);
    within(&place("timeout"), timeout, Duration::from_millis(10), MAX_TIMEOUT)?;
    let lease = raw.lease.map_or(timeout + LEASE_MARGIN, |span| span.0);
    within(&place("lease"), lease, MIN_LEASE, MAX_TIMEOUT + LEASE_MARGIN)?;
    let attempts = raw.attempts.unwrap_or(3);
    if !(1..=MAX_ATTEMPTS).contains(&attempts) {
        return Err(invalid(&place("attempts"), format!("must be from 1 to {MAX_ATTEMPTS}")));
    }
    let backoff = raw.backoff.map_or(Duration::from_secs(1), |span| span.0);
    within(&place("backoff"), backoff, Duration::ZERO, Duration::from_secs(3600))?;
    let spread = raw.spread.map_or(Duration::from_millis(50), |span| span.0);
    within(&place("spread"), spread, Duration::ZERO, raw.every.0)?;
    let rules = Rules {
        schedule,
        lease_ms: millis(lease),
        renew_ms: (lease < timeout + LEASE_MARGIN).then(|| millis(lease / 2)),
        attempts,
        backoff: Backoff { base_ms: millis(backoff), cap_ms: millis(backoff).max(60_000) },
        spread_ms: millis(spread),
        reread_ms: millis(agent.reread),
    };
    let mut limits = Limits::default();
    if let Some(Size(bytes)) = raw.memory {
        limits.memory = usize::try_from(bytes)
            .ok()
            .filter(|bytes| (1 << 16..=4 << 30).contains(bytes))
            .ok_or_else(|| invalid(&place("memory"), "must be from 64KiB to 4GiB"))?;
    }
    let module = Source::parse(&raw.module, base).map_err(|error| invalid(&place("module"), error.to_string()))?;
    let settings = Arc::new(settings(&place("config"), raw.config)?);
    Ok(Job { record, rules, timeout, module, limits, grants: raw.grants, settings, name })
}

/// TOML settings as JSON; dates become their text.
fn settings(place: &str, table: toml::Table) -> Result<serde_json::Map<String, serde_json::Value>, ConfigError> {
    fn json(value: toml::Value) -> Option<serde_json::Value> {
        Some(match value {
            toml::Value::String(text) => text.into(),
            toml::Value::Integer(number) => number.into(),
            toml::Value::Float(number) => serde_json::Value::Number(serde_json::Number::from_f64(number)?),
            toml::Value::Boolean(truth) => truth.into(),
            toml::Value::Datetime(time) => time.to_string().into(),
            toml::Value::Array(values) => values.into_iter().map(json).collect::<Option<Vec<_>>>()?.into(),
            toml::Value::Table(table) => {
                let fields: Option<serde_json::Map<_, _>> =
                    table.into_iter().map(|(key, value)| Some((key, json(value)?))).collect();
                fields?.into()
            }
        })
    }
    match json(toml::Value::Table(table)) {
        Some(serde_json::Value::Object(fields)) => Ok(fields),
        _ => Err(invalid(place, "a number must be finite")),
    }
}

fn domain(place: &str, text: &str) -> Result<Name, ConfigError> {
    let mut name = Name::from_str(text).map_err(|_| invalid(place, format!("`{text}` is no domain name")))?;
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

fn within(place: &str, span: Duration, least: Duration, most: Duration) -> Result<(), ConfigError> {
    if (least..=most).contains(&span) {
        return Ok(());
    }
    let text = |span| humantime::format_duration(span).to_string();
    Err(invalid(place, format!("{} is not from {} to {}", text(span), text(least), text(most))))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
