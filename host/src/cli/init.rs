//! `soloist init`: creates a job's record where there is none, and replaces one that cannot be read.

use std::io::{BufRead as _, IsTerminal as _, stdin};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::output::{self, WithHint as _};
use super::write::{self, Wrote};
use crate::agent;
use crate::arbiter;
use crate::config::{Arbiter, Config, Job};
use crate::round::contender::{Now, first_record, readable};
use crate::round::{Fence, MAX_DATA_BYTES, Observation, Record, Seal};
use crate::runtime::clean;

/// How far ahead a claimed round can be, in seconds: as far as a clock may be wrong.
const FAR_AHEAD: u64 = 86_400;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job; without one, every job of the configuration.
    name: Option<String>,
    /// The configuration.
    #[arg(long, short, default_value = "soloist.toml", value_name = "FILE")]
    config: PathBuf,
    /// Replace a record that cannot be acted on: shows what is there, and asks.
    #[arg(long)]
    repair: bool,
    /// Write a record that can be read anew: sealed with the first key, and as the newest one.
    #[arg(long, conflicts_with = "repair")]
    reseal: bool,
    /// Do not ask.
    #[arg(long, requires = "repair")]
    yes: bool,
}

/// Creates or repairs records.
///
/// # Errors
/// A record is there and cannot be read, and `--repair` was not given; the arbiter does not answer or refuses.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    if matches!(config.arbiter, Arbiter::Memory) {
        return Err(anyhow::anyhow!("{}: the arbiter is `memory`", args.config.display()))
            .hint("only the agent itself sees such records, and it creates them: `soloist run`");
    }
    let arbiters = agent::arbiters(&config)?;
    let jobs: Vec<&Job> = match &args.name {
        Some(name) => vec![config.job(name)?],
        None => config.jobs.iter().collect(),
    };
    if jobs.is_empty() {
        return Err(anyhow::anyhow!("{}: there is no job", args.config.display())).hint("`[job.NAME]` begins one");
    }
    let id = agent::new_id(&config.agent.name);
    let mut code = ExitCode::SUCCESS;
    let mut failed: Vec<anyhow::Error> = Vec::new();
    for job in jobs {
        let Some(arbiter) = arbiters.get(&job.name) else { continue };
        match one(&args, job, arbiter.as_ref(), &id).await {
            Ok(true) => {}
            Ok(false) => code = ExitCode::from(1),
            // The other jobs' records have nothing to do with it.
            Err(error) => failed.push(error.context(format!("job `{}`", job.name))),
        }
    }
    let count = failed.len();
    match failed.into_iter().next() {
        None => Ok(code),
        Some(first) if count == 1 => Err(first),
        Some(first) => Err(first.context(format!("{count} jobs have no record that can be acted on; the first is"))),
    }
}

/// One job; false where nothing was written although something should be.
async fn one(args: &Args, job: &Job, arbiter: &dyn arbiter::Arbiter, id: &str) -> anyhow::Result<bool> {
    let seen = arbiter.read().await?;
    let now = arbiter::now(arbiter);
    let place = arbiter.place();
    match readable(&seen, &job.rules, now) {
        Ok(Some(record)) if args.reseal => return reseal(job, arbiter, &seen, record, now).await,
        Ok(Some(_)) => {
            output::data(format_args!("job `{}`: there is a record at {place}, and it is left as it is", job.name));
            return Ok(true);
        }
        Ok(None) => {}
        Err(problem) if !args.repair => {
            let hint = agent::hint(&problem, &job.name);
            return Err(problem).with_context(|| format!("the record at {place} cannot be acted on")).hint(hint);
        }
        Err(problem) => {
            output::data(format_args!("job `{}`: the record at {place} cannot be acted on: {problem}", job.name));
            if let Some(data) = last_record(&seen, &job.rules.seal).and_then(|record| record.data) {
                output::data(format_args!("  would be kept: the state `{}`", clean(data.as_str(), MAX_DATA_BYTES)));
            }
            for value in &seen.values {
                output::data(format_args!("  would be replaced: {}", String::from_utf8_lossy(value).escape_debug()));
            }
            if !args.yes && !agreed()? {
                output::data("nothing was written");
                return Ok(false);
            }
        }
    }
    let seal = &job.rules.seal;
    let mut record = first_record(id, &job.rules, last_fence(&seen, seal, now), now);
    if let Some(last) = last_record(&seen, seal) {
        (record.data, record.wanted) = (last.data, last.wanted);
    }
    let record = seal.numbered(record, 0, now.wall_ms);
    if write::replace(arbiter, &seen, &seal.seal(&record)).await? == Wrote::Conflict {
        bail!("somebody else wrote at the same time: nothing was overwritten");
    }
    let due = jiff::Timestamp::from_second(i64::try_from(record.timer)?)?;
    output::data(format_args!("job `{}`: wrote the record at {place}; the first round is due at {due}", job.name));
    Ok(true)
}

/// Writes the record that is there with the first key and a count above any before it: so agents take it, although they have seen
/// a newer one, and a key that was replaced is not needed any more.
async fn reseal(
    job: &Job,
    arbiter: &dyn arbiter::Arbiter,
    seen: &Observation,
    record: Record,
    now: Now,
) -> anyhow::Result<bool> {
    let seal = &job.rules.seal;
    let Some(key) = seal.form().and(seal.key_id()) else {
        return Err(anyhow::anyhow!("the record has no seal")).hint("`[seal]` says how records are sealed");
    };
    if record.state.is_running() && record.timer > now.wall_seconds() {
        return Err(anyhow::anyhow!("{} runs the job: writing the record would take the round from it", record.id))
            .hint("try again when its run has ended");
    }
    let value = seal.seal(&seal.numbered(record, 0, now.wall_ms));
    if write::replace(arbiter, seen, &value).await? == Wrote::Conflict {
        bail!("somebody else wrote at the same time: nothing was overwritten");
    }
    output::data(format_args!("job `{}`: sealed the record at {} with the key {key}", job.name, arbiter.place()));
    Ok(true)
}

fn agreed() -> anyhow::Result<bool> {
    if !stdin().is_terminal() {
        return Err(anyhow::anyhow!("nobody is there to ask")).hint("add `--yes` to replace it without being asked");
    }
    output::ask("Replace it? [y/N] ");
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The newest of the values that are there and that the seal opens: what belongs to the job is kept from it. Nothing is kept of
/// what anybody may have written.
fn last_record(seen: &Observation, seal: &Seal) -> Option<Record> {
    let records = seen.values.iter().filter_map(|value| seal.open(value).ok());
    records.max_by_key(|record| (record.fence, record.timerold))
}

/// The highest fence among the values that are there: it must not be set back. A round that no agent can have claimed yet is no
/// fence: kept, it would hold up the job until then. One whose seal is broken counts as well, as far as it can be read.
fn last_fence(seen: &Observation, seal: &Seal, now: Now) -> Option<Fence> {
    let record = |value: &Vec<u8>| seal.open(value).ok().or_else(|| Record::decode(value).ok());
    let records = seen.values.iter().filter_map(record);
    records.filter_map(|record| record.fence).filter(|fence| fence.round <= now.wall_seconds() + FAR_AHEAD).max()
}
