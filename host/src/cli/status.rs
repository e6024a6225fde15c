//! `soloist status`: a job's record as every one of the zone's servers has it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hickory_proto::rr::Name;

use self::view::{Condition, View};
use super::output::{self, WithHint as _};
use crate::agent::{self, server_addr};
use crate::arbiter::{self, Arbiter};
use crate::clock;
use crate::config::{self, Config, Seals};
use crate::dns::query::{self, Server};
use crate::round::{MAX_SEAL_KEYS, Seal};

mod view;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job, or the name of its record: `canary` or `canary.example.com`.
    name: String,
    /// The configuration; not needed for a record's name.
    #[arg(long, short, default_value = "soloist.toml", value_name = "FILE")]
    config: PathBuf,
    /// Ask this server instead of the zone's own; an address or a name, port 53 if it has none; repeatable.
    #[arg(long, value_name = "ADDRESS")]
    server: Vec<String>,
    /// The longest wait for a server, from 50ms to 1m.
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = timeout)]
    timeout: Duration,
    /// A file with a key that the record is sealed with, instead of `keys` in `[seal]`; repeatable.
    #[arg(long, value_name = "FILE")]
    seal_key: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Shows a record. Exit code 0: fine; 1: overdue; 2: it cannot be read.
///
/// # Errors
/// There is no such job, or no server to ask.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = target(&args).await?;
    let asking = query::ask_all(&target.record, &target.servers, args.timeout);
    let (answers, now) = tokio::join!(asking, now(target.arbiter.as_deref(), args.timeout));
    let view = View::new(&target, &answers, now);
    if args.json {
        output::data(view.json());
    } else {
        for line in view.lines() {
            output::data(line);
        }
        if let Some(note) = &target.note {
            tracing::warn!("{note}");
        }
    }
    Ok(ExitCode::from(match view.condition() {
        Condition::Fine | Condition::Paused => 0,
        Condition::Overdue => 1,
        Condition::Unreadable => 2,
    }))
}

/// The second that it is by the arbiter's clock, or by this machine's where it is not shown in time.
async fn now(arbiter: Option<&dyn Arbiter>, timeout: Duration) -> u64 {
    let Some(arbiter) = arbiter else { return clock::wall_ms() / 1000 };
    // What it says of the record is asked of every server in another way.
    let _ = tokio::time::timeout(timeout, arbiter.read()).await;
    arbiter::now(arbiter).wall_seconds()
}

fn timeout(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let (least, most) = (Duration::from_millis(50), Duration::from_secs(60));
    if (least..=most).contains(&time) { Ok(time) } else { Err("not from 50ms to 1m".to_owned()) }
}

/// What to ask whom.
struct Target {
    record: Name,
    job: Option<config::Job>,
    /// What opens the record.
    seal: Seal,
    servers: Vec<Server>,
    /// The server that arbitrates, where it is known: the others follow it.
    primary: Option<SocketAddr>,
    /// The arbiter of the job, for its clock.
    arbiter: Option<Arc<dyn Arbiter>>,
    note: Option<String>,
}

async fn target(args: &Args) -> anyhow::Result<Target> {
    let config = match Config::load(&args.config) {
        Ok(config) => Some(config),
        // A record's name needs no configuration.
        Err(config::ConfigError::Unreadable { .. }) if args.name.contains('.') => None,
        Err(error) => return Err(error.into()),
    };
    let (record, job) = match &config {
        Some(config) if !args.name.contains('.') => {
            let job = config.job(&args.name)?;
            (job.record.clone(), Some(job.clone()))
        }
        _ => {
            let mut name =
                Name::from_str(&args.name).map_err(|_| anyhow::anyhow!("`{}` is no domain name", args.name))?;
            name.set_fqdn(true);
            let job = config.iter().flat_map(|config| &config.jobs).find(|job| job.record == name.to_lowercase());
            (name, job.cloned())
        }
    };
    let seal = seal(args, config.as_ref(), job.as_ref(), &record)?;
    if let Some(config::Arbiter::Memory) = config.as_ref().map(|config| &config.arbiter)
        && args.server.is_empty()
    {
        return Err(anyhow::anyhow!("{}: the arbiter is `memory`", args.config.display()))
            .hint("only the agent itself sees such records: its log tells of them");
    }
    let primary = match config.as_ref().map(|config| &config.arbiter) {
        Some(config::Arbiter::Rfc2136 { server, zone, .. }) if zone.zone_of(&record) => {
            Some(server_addr(server).await?)
        }
        _ => None,
    };
    let arbiter = match (&config, &job) {
        (Some(config), Some(job)) => agent::arbiters(config)?.remove(&job.name),
        _ => None,
    };
    if !args.server.is_empty() {
        let servers = named(&args.server).await?;
        return Ok(Target { record, job, seal, servers, primary, arbiter, note: None });
    }
    let mut servers: Vec<Server> = primary.iter().map(|addr| Server { name: None, addr: *addr }).collect();
    let mut note = None;
    match query::authoritative_servers(&record).await {
        Ok((_, found)) => {
            let others = found.into_iter().filter(|server| Some(server.addr) != primary);
            servers.extend(others);
        }
        Err(error) if servers.is_empty() => {
            return Err(error).hint("name a server to ask: `--server 192.0.2.1:53`");
        }
        Err(error) => note = Some(format!("only the arbiter was asked: {error}")),
    }
    Ok(Target { record, job, seal, servers, primary, arbiter, note })
}

/// What opens the record: the keys of the command line, or those of the configuration.
fn seal(args: &Args, config: Option<&Config>, job: Option<&config::Job>, record: &Name) -> anyhow::Result<Seal> {
    let form = job.and_then(|job| job.rules.seal.form());
    let ours = config.map(|config| config.seals.clone()).unwrap_or_default();
    if args.seal_key.is_empty() {
        return Ok(Seals { form, ..ours }.of(record));
    }
    if args.seal_key.len() > MAX_SEAL_KEYS {
        anyhow::bail!("{} keys are more than {MAX_SEAL_KEYS}", args.seal_key.len());
    }
    let read = |path: &PathBuf| config::seal_key(path).hint("it is what `keys` in `[seal]` names where agents run");
    let keys = args.seal_key.iter().map(read).collect::<anyhow::Result<_>>()?;
    Ok(Seals { form, keys, ..ours }.of(record))
}

/// The servers that were named on the command line.
async fn named(names: &[String]) -> anyhow::Result<Vec<Server>> {
    let mut servers = Vec::new();
    for name in names {
        let addr = match (name.parse::<SocketAddr>(), name.parse::<IpAddr>()) {
            (Ok(addr), _) => addr,
            (_, Ok(ip)) => SocketAddr::new(ip, 53),
            _ if name.contains(':') => looked_up(name).await?,
            _ => looked_up(&format!("{name}:53")).await?,
        };
        servers.push(Server { name: None, addr });
    }
    Ok(servers)
}

async fn looked_up(name: &str) -> anyhow::Result<SocketAddr> {
    let found = tokio::net::lookup_host(name).await.map(|mut addrs| addrs.next());
    let addr = match found {
        Ok(addr) => addr.with_context(|| format!("the server `{name}` has no address")),
        Err(error) => Err(error).with_context(|| format!("the server `{name}` cannot be found")),
    };
    addr.hint("write its address: `--server 192.0.2.1:53`")
}
