//! `soloist run`: an agent, from its start to an orderly stop.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;

use super::output;
use crate::agent::{self, Reload, Stop};
use crate::capability::{Granted, Services};
use crate::config::{Config, Job};
use crate::module;
use crate::runtime::{Compiler, Engine};

/// How long an agent that gives its rounds back tries to reach the arbiter.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration.
    #[arg(long, short, default_value = "soloist.toml", value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration and every module that is a file, and exit: 0 if all is well, 2 if not.
    #[arg(long)]
    check: bool,
    /// End when stdin does, which the parent process holds.
    #[arg(long, hide = true)]
    end_with_parent: bool,
}

/// Runs an agent until SIGTERM or SIGINT; SIGHUP, or a change of the file, lets it read its configuration again.
///
/// # Errors
/// The configuration is refused, or the agent cannot start.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.end_with_parent {
        end_with_parent()?;
    }
    let config = Config::load(&args.config)?;
    if args.check {
        return check(&args.config, &config).await;
    }
    super::descriptors::raise_limit();
    let grace = config.agent.grace;
    let compiler = Compiler::child(super::program()?, config.compiler).with_store(agent::store(&config.store));
    let (stop, asked) = watch::channel(Stop::No);
    let mut signals = super::signals::Signals::new()?;
    let reload = Reload { path: args.config, asked: signals.reloads(), hint: super::hints::of };
    let agent = agent::run_and_reload(config, compiler, Some(reload), asked);
    tokio::pin!(agent);
    tokio::select! {
        ended = &mut agent => return Ok(exit_code(ended?)),
        name = signals.next() => {
            let grace_text = humantime::format_duration(grace);
            tracing::info!("{name}: finishing what is under way, for at most {grace_text}; again to give it back at once");
        }
    }
    stop.send_replace(Stop::Finish);
    tokio::select! {
        ended = &mut agent => return Ok(exit_code(ended?)),
        () = tokio::time::sleep(grace) => tracing::info!("the grace time is over: giving the round back"),
        _ = signals.next() => tracing::info!("giving the round back"),
    }
    stop.send_replace(Stop::GiveBack);
    tokio::select! {
        ended = &mut agent => Ok(exit_code(ended?)),
        () = tokio::time::sleep(LAST_WORDS) => {
            tracing::warn!("the arbiter does not answer: leaving the round to the end of its lease");
            Ok(ExitCode::from(1))
        }
    }
}

fn exit_code(orderly: bool) -> ExitCode {
    if orderly { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Checks all that can be checked without asking the arbiter.
async fn check(path: &Path, config: &Config) -> anyhow::Result<ExitCode> {
    let engine = Engine::new()?;
    // Without the store: a check leaves nothing behind.
    let compiler = Compiler::child(super::program()?, config.compiler);
    let services = Services::new(&config.services, &config.base)?;
    agent::arbiters(config)?;
    for job in &config.jobs {
        let granted = Granted::new(job.grants.clone(), services.clone());
        granted.check().map_err(anyhow::Error::msg).with_context(|| format!("[job.{}.grants]", job.name))?;
        let what = check_module(&engine, &compiler, &services, config, job)
            .await
            .with_context(|| format!("[job.{}] module", job.name))?;
        output::data(format_args!("job `{}`: {what}", job.name));
    }
    let jobs = config.jobs.len();
    output::data(format_args!("{}: {jobs} job{}, all is well", path.display(), if jobs == 1 { "" } else { "s" }));
    Ok(ExitCode::SUCCESS)
}

async fn check_module(
    engine: &Engine,
    compiler: &Compiler,
    services: &Services,
    config: &Config,
    job: &Job,
) -> anyhow::Result<String> {
    let origin = agent::origin(config, job, &agent::module_access(services)?)?;
    let module::Source::File(path) = &job.module else {
        return Ok(format!("its module at {} is not looked at before it runs", job.module));
    };
    let module = origin.fetch().await?;
    let (digest, bytes) = (module.digest(), module.bytes().clone());
    let (engine, compiler, services, job) = (engine.clone(), compiler.clone(), services.clone(), job.clone());
    tokio::task::spawn_blocking(move || agent::prepare(&engine, &compiler, &services, &job, digest, &bytes)).await??;
    Ok(format!("{} (sha256 {}) can run", path.display(), digest.short()))
}

/// Ends this process with its parent, whose end closes our stdin, however it comes: agents of a demo that was killed end too.
fn end_with_parent() -> anyhow::Result<()> {
    let watch = || {
        // Whatever comes is dropped; the end, or an error, is what counts.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(1);
    };
    std::thread::Builder::new().name("soloist-parent".to_owned()).spawn(watch).context("no thread to watch stdin")?;
    Ok(())
}
