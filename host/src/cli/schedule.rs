//! `soloist schedule`: when a job is due next, from the configuration alone.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::{Value, json};

use super::output::{self, WithHint as _};
use crate::clock;
use crate::config::{Config, Job};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job.
    name: String,
    /// The configuration.
    #[arg(long, short, default_value = "soloist.toml", value_name = "FILE")]
    config: PathBuf,
    /// How many due times to print, from 1 to 1000.
    #[arg(long, short = 'n', default_value_t = 10, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// Begin at this time instead of now: `2026-03-29T00:00:00Z`, or `2026-03-29 02:00` on the schedule's clock.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One due time, as its zone's clock shows it.
struct Due {
    at: u64,
    local: Zoned,
}

/// Prints due times; neither a server nor a record is asked.
///
/// # Errors
/// There is no such job, or the time to begin at is none.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let job = config.job(&args.name)?;
    let zone = job.rules.schedule.zone();
    let from = match &args.from {
        None => clock::wall_ms() / 1000,
        Some(text) => time(text, &zone)?,
    };
    let due = due(job, &zone, from, args.count);
    if args.json {
        output::data(data(job, &zone, &due));
    } else {
        output::data(format!("{}: {}", job.name, job.rules.schedule));
        lines(&zone, from, &due).iter().for_each(output::data);
    }
    Ok(ExitCode::SUCCESS)
}

/// A moment, or a time on the zone's clock; one that this clock leaves out is as long after the gap as it is in it.
fn time(text: &str, zone: &TimeZone) -> anyhow::Result<u64> {
    let moment = text.parse::<Timestamp>().or_else(|_| {
        let local: DateTime = text.parse()?;
        zone.to_ambiguous_timestamp(local).compatible()
    });
    moment
        .ok()
        .and_then(|moment| u64::try_from(moment.as_second()).ok())
        .ok_or_else(|| anyhow::anyhow!("`{text}` is no time since 1970"))
        .hint("write it like `2026-03-29T00:00:00Z`, or `2026-03-29 02:00` on the schedule's clock")
}

/// The due times from `from` on.
fn due(job: &Job, zone: &TimeZone, from: u64, count: u16) -> Vec<Due> {
    let mut before = from.checked_sub(1);
    let next = || {
        let at = job.rules.schedule.after(before.unwrap_or(0));
        before = Some(at);
        let moment = Timestamp::from_second(i64::try_from(at).ok()?).ok()?;
        Some(Due { at, local: moment.to_zoned(zone.clone()) })
    };
    std::iter::from_fn(next).take(usize::from(count)).collect()
}

/// For people: a line a due time, and one wherever the clock is set in between.
fn lines(zone: &TimeZone, from: u64, due: &[Due]) -> Vec<String> {
    let spans: Vec<String> = due.iter().map(|due| span(due.at - from)).collect();
    let width = spans.iter().map(String::len).max().unwrap_or(0);
    let mut lines = Vec::with_capacity(due.len());
    let mut offset =
        Timestamp::from_second(i64::try_from(from).unwrap_or(i64::MAX)).ok().map(|from| zone.to_offset(from));
    for (due, span) in due.iter().zip(&spans) {
        let now = due.local.offset();
        if let Some(before) = offset.replace(now).filter(|before| *before != now) {
            let direction = if now > before { "forward" } else { "back" };
            lines.push(format!("  the clock is set {direction}: UTC{before} becomes UTC{now}"));
        }
        let (local, utc) = (due.local.strftime("%a %Y-%m-%d %H:%M:%S"), due.local.timestamp());
        lines.push(format!("  {local} UTC{now}  {utc}  {span:>width$}"));
    }
    lines
}

/// In days at most: months and years differ in length.
fn span(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, Duration::from_secs(seconds % 86_400));
    let time = humantime::format_duration(rest);
    match days {
        0 => format!("in {time}"),
        1 if rest.is_zero() => "in 1day".to_owned(),
        1 => format!("in 1day {time}"),
        _ if rest.is_zero() => format!("in {days}days"),
        _ => format!("in {days}days {time}"),
    }
}

/// For machines.
fn data(job: &Job, zone: &TimeZone, due: &[Due]) -> Value {
    let schedule = &job.rules.schedule;
    let every = schedule.expression().is_none().then(|| schedule.shortest());
    let times: Vec<Value> = due
        .iter()
        .map(|due| {
            let local = due.local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
            json!({ "at": due.at, "utc": due.local.timestamp().to_string(), "local": local })
        })
        .collect();
    json!({
        "job": job.name,
        "every": every,
        "cron": schedule.expression(),
        "timezone": schedule.expression().and(zone.iana_name()),
        "due": times,
    })
}
