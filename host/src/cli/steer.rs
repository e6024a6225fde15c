//! `soloist pause`, `resume`, `trigger`, `module`: steers every agent of a job by one conditional replacement of its record, with
//! no connection to any of them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::output::{self, WithHint as _};
use super::write::{self, Wrote};
use crate::agent;
use crate::arbiter::{self, Arbiter, Promise};
use crate::config::{self, Config, Job};
use crate::files;
use crate::module::Digest;
use crate::module::MAX_MODULE_BYTES;
use crate::round::contender::readable;
use crate::round::contender::steer::{Steer, Unsteered};
use crate::round::{MAX_REASON_BYTES, Record};

/// How often it is tried anew when an agent writes at the same time.
const TRIES: u32 = 10;

/// Arguments of `resume` and `trigger`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job.
    name: String,
    /// The configuration.
    #[arg(long, short, default_value = "soloist.toml", value_name = "FILE")]
    config: PathBuf,
}

/// Arguments of `pause`.
#[derive(Debug, clap::Args)]
pub struct PauseArgs {
    #[command(flatten)]
    job: Args,
    /// Why: shown by `status` and to whoever reads the record; up to 80 bytes.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT", value_parser = reason)]
    reason: String,
}

/// Arguments of `module`.
#[derive(Debug, clap::Args)]
pub struct ModuleArgs {
    /// The job.
    name: String,
    /// The module: a file, or the SHA-256 of one, of which the first twelve digits count.
    #[arg(value_name = "FILE|DIGEST")]
    module: String,
    /// The configuration.
    #[arg(long, short, default_value = "soloist.toml", value_name = "FILE")]
    config: PathBuf,
}

fn reason(text: &str) -> Result<String, String> {
    if text.len() > MAX_REASON_BYTES {
        return Err(format!("it has {} bytes, and there is room for {MAX_REASON_BYTES} in the record", text.len()));
    }
    if text.contains(char::is_control) {
        return Err("it has control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// Lets no round begin any more.
///
/// # Errors
/// As [`resume`].
pub async fn pause(args: PauseArgs) -> anyhow::Result<ExitCode> {
    steer(&args.job, &Steer::Pause { reason: args.reason }).await
}

/// Lets rounds begin again.
///
/// # Errors
/// The configuration is wrong, the arbiter does not answer or refuses, or there is no record that can be acted on.
pub async fn resume(args: Args) -> anyhow::Result<ExitCode> {
    steer(&args, &Steer::Resume).await
}

/// Asks for one run, now.
///
/// # Errors
/// As [`resume`].
pub async fn trigger(args: Args) -> anyhow::Result<ExitCode> {
    steer(&args, &Steer::Trigger).await
}

/// Says which module is to run, on every agent that goes by it.
///
/// # Errors
/// As [`resume`]; or there is no such file, and it is no digest either.
pub async fn module(args: ModuleArgs) -> anyhow::Result<ExitCode> {
    let wanted = digest(&args.module)?;
    let args = Args { name: args.name, config: args.config };
    let code = steer(&args, &Steer::Module { wanted }).await?;
    if !Config::load(&args.config)?.job(&args.name)?.rules.same_module {
        tracing::warn!(
            "by this configuration agents run whatever module they hold: `require-same-module = true` in `[job.{}]` lets them \
             wait for the one that is wanted",
            args.name
        );
    }
    Ok(code)
}

/// The first twelve digits of a module's digest, which is given or that of a file.
fn digest(module: &str) -> anyhow::Result<String> {
    let path = Path::new(module);
    if path.exists() {
        let bytes = files::read(path, MAX_MODULE_BYTES).with_context(|| format!("the module `{module}`"))?;
        return Ok(Digest::of(&bytes).short());
    }
    let digits = module.strip_prefix("sha256:").unwrap_or(module).to_lowercase();
    if (12..=64).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(digits[..12].to_owned());
    }
    Err(anyhow::anyhow!("`{module}` is neither a file nor a digest")).hint(
        "a digest is the SHA-256 of a module in hexadecimal, or its first twelve digits at least: `sha256sum FILE`",
    )
}

async fn steer(args: &Args, steer: &Steer) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    if matches!(config.arbiter, config::Arbiter::Memory) {
        return Err(anyhow::anyhow!("{}: the arbiter is `memory`", args.config.display()))
            .hint("only the agent itself sees such records: there is no fleet to steer");
    }
    let job = config.job(&args.name)?;
    let arbiter = agent::arbiters(&config)?.remove(&job.name).context("the job has no arbiter")?;
    for _ in 0..TRIES {
        let seen = arbiter.read().await?;
        let now = arbiter::now(arbiter.as_ref());
        let record = readable(&seen, &job.rules, now).or_else(|problem| {
            let hint = agent::hint(&problem, &job.name);
            Err(problem).with_context(|| format!("the record at {} cannot be acted on", arbiter.place())).hint(hint)
        })?;
        let Some(record) = record else {
            return Err(anyhow::anyhow!("there is no record at {}", arbiter.place()))
                .hint(format!("`soloist init {}` creates it, and so does the first agent", job.name));
        };
        let new = match steer.apply(&record, &job.rules, now) {
            Ok(new) => job.rules.seal.numbered(new, 0, now.wall_ms),
            Err(nothing) => return Ok(unsteered(job, &record, &nothing)),
        };
        if write::replace(arbiter.as_ref(), &seen, &job.rules.seal.seal(&new)).await? == Wrote::Yes
            && stands(job, steer, &new, arbiter.as_ref()).await?
        {
            done(job, steer, &new, arbiter.as_ref());
            return Ok(ExitCode::SUCCESS);
        }
    }
    bail!("agents wrote at the same time, {TRIES} times: nothing was written")
}

/// Whether what was written is not overwritten by a claim that was on its way, where the arbiter only overwrites.
async fn stands(job: &Job, steer: &Steer, new: &Record, arbiter: &dyn Arbiter) -> anyhow::Result<bool> {
    let Promise::Settle(settle) = arbiter.promise() else { return Ok(true) };
    tokio::time::sleep(Duration::from_millis(settle.wait_ms)).await;
    let seen = arbiter.read().await?.opened(&job.rules.seal);
    Ok(seen.is_ok_and(|seen| seen.is_some_and(|seen| steer.holds(new, &seen))))
}

/// Nothing was to be written: what was asked for holds already, or cannot be had.
fn unsteered(job: &Job, record: &Record, nothing: &Unsteered) -> ExitCode {
    output::data(format_args!("job `{}`: {nothing}: nothing was written", job.name));
    match nothing {
        Unsteered::IsPaused | Unsteered::IsNotPaused | Unsteered::IsTriggered | Unsteered::IsWanted(_) => {
            ExitCode::SUCCESS
        }
        Unsteered::IsRunning { .. } => {
            tracing::warn!("its lease stands until {}: ask again when the run is over", time(record.timer));
            ExitCode::from(1)
        }
    }
}

fn done(job: &Job, steer: &Steer, new: &Record, arbiter: &dyn Arbiter) {
    let (name, place) = (&job.name, arbiter.place());
    let soon = humantime::format_duration(Duration::from_millis(job.rules.reread_ms));
    match steer {
        Steer::Pause { .. } if new.state.is_running() => {
            output::data(format_args!("job `{name}`: paused at {place}; the run of `{}` may end", new.id));
        }
        Steer::Pause { .. } => output::data(format_args!("job `{name}`: paused at {place}")),
        Steer::Resume => {
            output::data(format_args!(
                "job `{name}`: resumed at {place}; the next round is due at {}",
                time(new.timer)
            ));
        }
        Steer::Module { wanted } => {
            output::data(format_args!(
                "job `{name}`: the module {wanted} is wanted at {place}; agents that hold another one wait, within {soon}"
            ));
        }
        Steer::Trigger => {
            output::data(format_args!("job `{name}`: a run is asked for at {place}; an agent looks within {soon}"));
        }
    }
}

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}
