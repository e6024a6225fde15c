//! `soloist demo`: a DNS server, three agents as processes of their own, and a job that can be edited while it runs.

mod agents;
mod stage;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use hickory_proto::rr::Name;

use self::agents::{Agents, Line};
use self::stage::Stage;
use super::output::WithHint as _;
use super::signals::Signals;
use crate::arbiter::tsig::{Algorithm, Key};
use crate::dns::server;

/// The job, compiled on loading: no WebAssembly toolchain is needed.
const HEARTBEAT: &str = include_str!("../../../../jobs/heartbeat-wat/heartbeat.wat");
/// The record.
const RECORD: &str = "heartbeat.demo.test";
/// The zone, served on loopback only.
const ZONE: &str = "demo.test";
/// The names of the agents.
const NAMES: [&str; 3] = ["alto", "basso", "canto"];

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The time between two rounds.
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = every)]
    every: Duration,
    /// End after so many rounds; 0 goes on until Ctrl-C.
    #[arg(long, default_value_t = 0, value_name = "N")]
    rounds: u64,
    /// The port of the DNS server; 0 is any free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    port: u16,
}

fn every(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let whole = time.subsec_nanos() == 0 && (1..=3600).contains(&time.as_secs());
    if whole { Ok(time) } else { Err("not a whole number of seconds from 1s to 1h".to_owned()) }
}

/// Runs the demo until Ctrl-C.
///
/// # Errors
/// The server or an agent cannot start.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    // Caught before anything is made, so that whatever is made is also removed.
    let mut signals = Signals::new()?;
    let home = tempfile::Builder::new().prefix("soloist-demo-").tempdir().context("cannot make a directory")?;
    let key = Key::generate("soloist", Algorithm::default())?;
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let zone: Name = ZONE.parse()?;
    let options = server::Options::new(zone, vec![addr], vec![key.clone()], home.path().join("zone"));
    let dns = server::start(options)
        .await
        .context("the DNS server cannot start")
        .or_else(|error| Err(error).hint("`--port 0`, the default, takes a free one"))?;
    let addr = dns.addrs().first().copied().unwrap_or(addr);
    let config = furnish(home.path(), &key, addr, args.every)?;

    let mut agents = Agents::start(&config, &NAMES)?;
    let mut stage = Stage::new(&NAMES);
    stage.introduce(args.every, RECORD, addr, &home.path().join("heartbeat.wat"), &agents.pids());
    let mut rounds = 0;
    while stage.is_watched() && (args.rounds == 0 || rounds < args.rounds) {
        tokio::select! {
            line = agents.next() => match line {
                Line::Event { agent, event } => {
                    if event["event"] == "finished" && event["retry"] == false {
                        rounds += 1;
                    }
                    stage.show(&agent, agents.pid(&agent), &event);
                }
                Line::Ended { agent, how } => {
                    stage.gone(&agent, &how);
                    agents.revive_later(agent);
                }
                Line::Revived { agent, pid } => stage.back(&agent, pid),
            },
            _ = signals.next() => break,
        }
    }
    stage.farewell();
    agents.stop().await;
    dns.stop().await;
    home.close().context("the demo's directory cannot be removed")?;
    stage.curtain();
    Ok(ExitCode::SUCCESS)
}

/// Writes the key, the job and the configuration, and gives the path of the last.
fn furnish(home: &Path, key: &Key, addr: SocketAddr, every: Duration) -> anyhow::Result<std::path::PathBuf> {
    let write = |name: &str, text: &str| {
        let path = home.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display())).map(|()| path)
    };
    write("soloist.key", &key.secret_base64())?;
    write("heartbeat.wat", HEARTBEAT)?;
    let every = humantime::format_duration(every);
    let config = format!(
        r#"[agent]
grace = "3s"

[arbiter]
kind = "rfc2136"
server = "{addr}"
zone = "{ZONE}"
key = {{ name = "soloist", secret-file = "soloist.key" }}
ttl = 1

[store]
path = "store"

[job.heartbeat]
record = "{RECORD}"
every = "{every}"
module = "heartbeat.wat"
timeout = "4s"
lease = "3s"
"#
    );
    write("soloist.toml", &config)
}
