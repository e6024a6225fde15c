//! The loop that drives it all: asks each job's contender what to do, does it, and tells it what happened.
//!
//! One loop a job: a job that hangs, traps or floods its output delays no other. Runs are on threads of their own.

mod driver;
mod follow;
mod identity;
mod metrics;
mod news;
mod report;
mod supervisor;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hickory_proto::rr::Name;
use tokio::sync::watch;

pub use identity::new_id;
pub use news::Reload;
pub use report::hint;

use crate::arbiter::Arbiter;
use crate::arbiter::memory::Memory;
use crate::arbiter::powerdns::{self, PowerDns};
use crate::arbiter::rfc2136::{self, Rfc2136};
use crate::capability::dns_update::Zone;
use crate::capability::http::Clients;
use crate::capability::{Granted, Services};
use crate::config::{self, Config};
use crate::module::{self, Access, Digest, Loader, Origin, Source};
use crate::round::Form;
use crate::runtime::{Compiler, Engine, LoadError, Prepared};
use metrics::Metrics;
use supervisor::{Supervisor, Tools};

/// How far an agent is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    No,
    /// Take no more rounds; runs under way may end.
    Finish,
    /// The same of one job; once nothing runs, an arbiter that gives no answer is not waited for any longer.
    Retire,
    /// Give back what is under way.
    GiveBack,
}

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The name of the arbiter's server does not resolve.
    #[error("the arbiter's server `{server}` cannot be found")]
    Server {
        /// As in the configuration.
        server: String,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The arbiter's options make no sense.
    #[error("the arbiter of job `{job}` cannot be used")]
    Arbiter {
        /// The job.
        job: String,
        /// Why.
        #[source]
        error: rfc2136::Invalid,
    },
    /// The client of the arbiter's API cannot be made.
    #[error("the client of the arbiter's API cannot be made")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The capabilities cannot be set up.
    #[error("the capabilities cannot be set up")]
    Services(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The metrics cannot be served.
    #[error("the metrics cannot be served at `{address}`")]
    Metrics {
        /// As in the configuration.
        address: SocketAddr,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The engine for modules cannot be set up.
    #[error("the engine for modules cannot be set up")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The arbiters of a configuration's jobs, by the job's name. Nothing is connected yet.
///
/// # Errors
/// A record cannot be arbitrated there.
pub fn arbiters(config: &Config) -> Result<HashMap<String, Arc<dyn Arbiter>>, StartError> {
    let mut arbiters: HashMap<String, Arc<dyn Arbiter>> = HashMap::new();
    match &config.arbiter {
        config::Arbiter::Memory => {
            for job in &config.jobs {
                arbiters.insert(job.name.clone(), Arc::new(Memory::default()));
            }
        }
        config::Arbiter::Rfc2136 { server, zone, key, ttl, timeout } => {
            let mut first: Option<Rfc2136> = None;
            for job in &config.jobs {
                let one = match &first {
                    Some(first) => first.beside(&job.record),
                    None => Rfc2136::new(rfc2136::Options {
                        server: server.clone(),
                        zone: zone.clone(),
                        record: job.record.clone(),
                        key: key.clone(),
                        ttl: *ttl,
                        timeout: *timeout,
                    }),
                };
                let one = one.map_err(|error| StartError::Arbiter { job: job.name.clone(), error })?;
                if first.is_none() {
                    first = one.beside(&job.record).ok();
                }
                arbiters.insert(job.name.clone(), Arc::new(one));
            }
        }
        config::Arbiter::PowerDns { .. } => {
            let mut first: Option<PowerDns> = None;
            for job in &config.jobs {
                let one = match &first {
                    Some(first) => {
                        let invalid = |error| StartError::Arbiter { job: job.name.clone(), error };
                        Some(first.beside(&job.record).map_err(invalid)?)
                    }
                    None => powerdns(config, &job.name, &job.record)?,
                };
                let Some(one) = one else { continue };
                first.get_or_insert_with(|| one.clone());
                arbiters.insert(job.name.clone(), Arc::new(one));
            }
        }
    }
    Ok(arbiters)
}

/// The zone that jobs change as far as they are granted it: by the account of these arbiters, and nothing at the name of a
/// job's record.
#[expect(clippy::implicit_hasher, reason = "it is the map that `arbiters` makes")]
pub fn zone(config: &Config, arbiters: &HashMap<String, Arc<dyn Arbiter>>) -> Zone {
    Zone {
        account: arbiters.values().find_map(|arbiter| arbiter.account()),
        records: config.jobs.iter().map(|job| job.record.clone()).collect(),
    }
}

/// The arbiter of a record at the PowerDNS API of a configuration; none where it has no such arbiter. `job` is what errors
/// call it.
///
/// # Errors
/// A record cannot be arbitrated there, or the client for it cannot be made.
pub fn powerdns(config: &Config, job: &str, record: &Name) -> Result<Option<PowerDns>, StartError> {
    let config::Arbiter::PowerDns { url, server_id, zone, key, ttl, timeout, settle } = &config.arbiter else {
        return Ok(None);
    };
    let certificates = config.services.http.resolve(&config.base).map_err(|error| StartError::Client(error.into()))?;
    let clients = Clients::new(&certificates).map_err(|error| StartError::Client(error.into()))?;
    let client = clients.another(|builder| powerdns::client(builder, *timeout));
    let options = powerdns::Options {
        client: client.map_err(|error| StartError::Client(error.into()))?,
        url: url.clone(),
        server_id: server_id.clone(),
        zone: zone.clone(),
        record: record.clone(),
        key: key.clone(),
        ttl: *ttl,
        timeout: *timeout,
        settle: *settle,
    };
    let invalid = |error| StartError::Arbiter { job: job.to_owned(), error };
    PowerDns::new(options).map(Some).map_err(invalid)
}

/// The address behind `address:port` or `name:port`.
///
/// # Errors
/// It does not resolve.
pub async fn server_addr(server: &str) -> Result<SocketAddr, StartError> {
    let failed = |error| StartError::Server { server: server.to_owned(), error };
    let mut addrs = tokio::net::lookup_host(server).await.map_err(failed)?;
    addrs.next().ok_or_else(|| failed(std::io::Error::other("the name has no address")))
}

/// A job's module of bytes: compiled, checked against its grants, linked. It takes a while.
///
/// # Errors
/// What the bytes are instead, or which grant is missing.
pub fn prepare(
    engine: &Engine,
    compiler: &Compiler,
    services: &Services,
    job: &config::Job,
    digest: Digest,
    bytes: &Bytes,
) -> Result<Prepared, LoadError> {
    let granted = Granted::new(job.grants.clone(), services.clone());
    compiler.load(engine, digest, bytes)?.prepare(&job.name, Arc::new(granted))
}

/// [`prepare`] for a slot, whose refusals say what to try.
fn loader(engine: &Engine, compiler: &Compiler, services: &Services, job: &config::Job) -> Loader<Prepared> {
    let (engine, compiler, services, job) = (engine.clone(), compiler.clone(), services.clone(), job.clone());
    Arc::new(move |module| {
        prepare(&engine, &compiler, &services, &job, module.digest(), module.bytes()).map_err(|error| {
            match error.hint() {
                Some(hint) => format!("{error}; hint: {hint}").into(),
                None => error.into(),
            }
        })
    })
}

/// What modules are reached with, but for pointers at the arbiter.
///
/// # Errors
/// TLS cannot be set up.
pub fn module_access(services: &Services) -> Result<Access, reqwest::Error> {
    services.clients().another(module::client).map(Access::new)
}

/// Where a job's modules come from. A pointer in the arbiter's zone is read by the arbiter's means: at the primary, and signed.
///
/// # Errors
/// The pointer cannot be read there.
pub fn origin(config: &Config, job: &config::Job, access: &Access) -> Result<Origin, StartError> {
    let mut access = access.clone();
    if let Source::Pointer(pointer) = &job.module
        && pointer.server().is_none()
    {
        access.pointer = reader(config, &job.name, pointer.name())?;
    }
    Ok(Origin { source: job.module.clone(), trust: job.trust.clone(), access })
}

/// Where the modules of a configuration's jobs come from, by the job's name.
///
/// # Errors
/// As of [`origin`].
fn origins(config: &Config, access: &Access) -> Result<HashMap<String, Origin>, StartError> {
    config.jobs.iter().map(|job| Ok((job.name.clone(), origin(config, job, access)?))).collect()
}

/// Who reads a name in the arbiter's zone; none where there is no such zone, or the name is not in it.
fn reader(config: &Config, job: &str, name: &Name) -> Result<Option<Arc<dyn Arbiter>>, StartError> {
    if !config.arbiter.zone().is_some_and(|zone| zone.zone_of(name)) {
        return Ok(None);
    }
    if let config::Arbiter::Rfc2136 { server, zone, key, ttl, timeout } = &config.arbiter {
        let (server, zone, key) = (server.clone(), zone.clone(), key.clone());
        let options = rfc2136::Options { server, zone, record: name.clone(), key, ttl: *ttl, timeout: *timeout };
        let invalid = |error| StartError::Arbiter { job: job.to_owned(), error };
        return Ok(Some(Arc::new(Rfc2136::new(options).map_err(invalid)?)));
    }
    Ok(powerdns(config, job, name)?.map(|arbiter| Arc::new(arbiter) as Arc<dyn Arbiter>))
}

/// The store of a configuration; none, and a word of warning, where it cannot be had: it is no reason not to run.
pub fn store(config: &config::Store) -> Option<module::Store> {
    let Some(path) = &config.path else {
        tracing::warn!(
            event = "store",
            "there is no store: modules are compiled at each start, and fetched; `path` under `[store]` names a folder for one"
        );
        return None;
    };
    module::Store::open(path, config.size)
        .inspect_err(|error| {
            let path = path.display();
            tracing::warn!(event = "store", %error, "there is no store at `{path}`: modules are compiled at each start, and fetched");
        })
        .ok()
}

/// Runs an agent until it is stopped, by one configuration; modules are made by this compiler. `true` when every job's loop ended in
/// order.
///
/// # Errors
/// It cannot start. Once started, trouble with an arbiter, a module or a job is logged, and the agent goes on.
pub async fn run(config: Config, compiler: Compiler, stop: watch::Receiver<Stop>) -> Result<bool, StartError> {
    run_and_reload(config, compiler, None, stop).await
}

/// As [`run`], and goes by another configuration where there is one that can be gone by.
///
/// # Errors
/// As of [`run`].
pub async fn run_and_reload(
    config: Config,
    compiler: Compiler,
    reload: Option<Reload>,
    stop: watch::Receiver<Stop>,
) -> Result<bool, StartError> {
    let engine = Engine::new().map_err(|error| StartError::Engine(error.into()))?;
    let services = Services::new(&config.services, &config.base).map_err(|error| StartError::Services(error.into()))?;
    let arbiters = arbiters(&config)?;
    services.set_zone(zone(&config, &arbiters));
    let access = module_access(&services).map_err(|error| StartError::Services(error.into()))?;
    let origins = origins(&config, &access)?;
    let metrics = Arc::new(Metrics::new(&services));
    metrics.keep_clocks(arbiters.values());
    let _serving = match config.agent.metrics {
        Some(address) => Some(metrics::serve(address, Arc::clone(&metrics)).await?),
        None => None,
    };
    let tools = Tools { engine, compiler, services, access };
    Ok(Supervisor::new(config, tools, arbiters, origins, metrics).run(stop, reload).await)
}

fn announce(job: &config::Job, arbiter: &dyn Arbiter, id: &str) {
    let promise = arbiter.promise();
    let seal = &job.rules.seal;
    let sealed = seal.form().zip(seal.key_id()).map(|(form, key)| match form {
        Form::Sign => format!("records are signed with the key {key}"),
        Form::Encrypt => format!("records are encrypted with the key {key}"),
    });
    let sealed = sealed.as_deref();
    tracing::info!(job = %job.name, agent = %id, arbiter = %arbiter.place(), module = %job.module, %promise, seal = sealed, "taking part");
    if sealed.is_some() && seal.accepts_unsealed() {
        tracing::warn!(
            job = %job.name,
            "records without a seal are accepted, too: remove `accept-unsealed` as soon as every agent has the key"
        );
    }
}
