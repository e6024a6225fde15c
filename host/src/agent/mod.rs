//! The loop that drives it all: asks each job's contender what to do, does it, and tells it what happened.
//!
//! One loop a job: a job that hangs, traps or floods its output delays no other. Runs are on threads of their own.

mod driver;
mod identity;
mod metrics;
mod report;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hickory_proto::rr::Name;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument as _;

pub use identity::new_id;
pub use report::hint;

use crate::arbiter::Arbiter;
use crate::arbiter::memory::Memory;
use crate::arbiter::powerdns::{self, PowerDns};
use crate::arbiter::rfc2136::{self, Rfc2136};
use crate::capability::dns_update::Zone;
use crate::capability::http::Clients;
use crate::capability::{Granted, Services};
use crate::config::{self, Config};
use crate::module::{self, Digest, Loader, Slot};
use crate::round::Form;
use crate::runtime::{Compiler, Engine, LoadError, Prepared};
use driver::Driver;
use metrics::Metrics;

/// How far an agent is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    No,
    /// Take no more rounds; runs under way may end.
    Finish,
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
    Arc::new(move |bytes| {
        prepare(&engine, &compiler, &services, &job, Digest::of(&bytes), &bytes).map_err(|error| match error.hint() {
            Some(hint) => format!("{error}; hint: {hint}").into(),
            None => error.into(),
        })
    })
}

/// The client that fetches modules.
///
/// # Errors
/// TLS cannot be set up.
pub fn module_client(services: &Services) -> Result<reqwest::Client, reqwest::Error> {
    services.clients().another(module::client)
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

/// Runs an agent until it is stopped; modules are made by this compiler. `true` when every job's loop ended in order.
///
/// # Errors
/// It cannot start. Once started, trouble with an arbiter, a module or a job is logged, and the agent goes on.
pub async fn run(config: Config, compiler: Compiler, mut stop: watch::Receiver<Stop>) -> Result<bool, StartError> {
    let engine = Engine::new().map_err(|error| StartError::Engine(error.into()))?;
    let services = Services::new(&config.services, &config.base).map_err(|error| StartError::Services(error.into()))?;
    let mut arbiters = arbiters(&config)?;
    services.set_zone(zone(&config, &arbiters));
    let client = module_client(&services).map_err(|error| StartError::Services(error.into()))?;
    let id = new_id(&config.agent.name);
    let metrics = Arc::new(Metrics::new(
        config.jobs.iter().map(|job| job.name.as_str()),
        arbiters.values(),
        services.figures().clone(),
    ));
    let _serving = match config.agent.metrics {
        Some(address) => Some(metrics::serve(address, Arc::clone(&metrics)).await?),
        None => None,
    };
    let mut drivers = JoinSet::new();
    for job in &config.jobs {
        let Some(arbiter) = arbiters.remove(&job.name) else { continue };
        announce(job, arbiter.as_ref(), &id);
        let span = tracing::info_span!("job", job = %job.name);
        let slot = span
            .in_scope(|| Slot::start(job.module.clone(), loader(&engine, &compiler, &services, job), client.clone()));
        let driver = Driver::new(job.clone(), id.clone(), arbiter, slot, stop.clone(), Arc::clone(&metrics));
        drivers.spawn(driver.run().instrument(span));
    }
    if config.jobs.is_empty() {
        tracing::warn!("the configuration has no job: there is nothing to do but wait");
        let _ = stop.wait_for(|stop| *stop != Stop::No).await;
    }
    let mut orderly = true;
    while let Some(ended) = drivers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a job's loop broke off; the other jobs go on");
            orderly = false;
        }
    }
    Ok(orderly)
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
