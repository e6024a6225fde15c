//! Checks a `[job.NAME]`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::schedule::schedule;
use super::{bare, domain, millis, span, within};
use crate::config::error::{Problem, invalid, nearest};
use crate::config::{
    Agent, Arbiter, DEFAULT_CATCH_UP, DEFAULT_TIMEOUT, Job, LEASE_MARGIN, MAX_ATTEMPTS, MAX_CATCH_UP, MAX_TIMEOUT,
    MIN_LEASE, MIN_START_DEADLINE, Seals, Size, raw,
};
use crate::module::{Source, Trust};
use crate::round::contender::{Backoff, Delivery, Missed, Rules};
use crate::runtime::{Invocation, Limits};

pub(in crate::config) fn job(
    name: String,
    raw: raw::Job,
    base: &Path,
    agent: &Agent,
    arbiter: &Arbiter,
    seals: &Seals,
) -> Result<Job, Problem> {
    let place = |key: &str| format!("[job.{name}] {key}");
    if name.is_empty() || name.len() > 63 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    {
        return Err(invalid(&format!("[job.{name:?}]"), "a job's name has 1 to 63 letters, digits, `-` and `_`"));
    }
    let record = domain(&place("record"), &raw.record)?;
    if let Some(zone) = arbiter.zone()
        && !zone.zone_of(&record)
    {
        let problem = format!("`{}` is not in the zone `{}`", bare(&record), bare(zone));
        return Err(invalid(&place("record"), problem).hint(format!("a name in it is `{name}.{}`", bare(zone))));
    }
    let schedule = schedule(&format!("[job.{name}]"), raw.every, raw.cron.as_deref(), raw.timezone.as_deref())?;
    let timeout = raw.timeout.map_or(DEFAULT_TIMEOUT, |span| span.0);
    within(&place("timeout"), timeout, Duration::from_millis(10), MAX_TIMEOUT)?;
    // Until a claim has settled, its lease runs already: a wait, and then as long again for what is read back.
    let settling = arbiter.settle().map_or(Duration::ZERO, |settle| Duration::from_millis(settle.wait_ms) * 2);
    let apart = Duration::from_secs(schedule.shortest());
    if !settling.is_zero() && apart <= settling {
        let key = if schedule.expression().is_some() { "cron" } else { "every" };
        let problem = format!(
            "rounds that are {} apart leave no more time than a claim may take to settle, {}",
            span(apart),
            span(settling)
        );
        return Err(invalid(&place(key), problem).hint("run it less often, or lower `timeout` in `[arbiter]`"));
    }
    let whole = timeout + settling + LEASE_MARGIN;
    let lease = raw.lease.map_or(whole, |span| span.0);
    within(&place("lease"), lease, MIN_LEASE.max(settling * 2), MAX_TIMEOUT + settling + LEASE_MARGIN)?;
    let delivery = delivery(&place("delivery"), raw.delivery.as_deref())?;
    if delivery == Delivery::AtMostOnce && lease < whole {
        let problem = format!("{} is shorter than the timeout and {}", span(lease), span(settling + LEASE_MARGIN));
        return Err(invalid(&place("lease"), problem).hint(
            "with at-most-once nobody takes a round over, so that there is nothing to renew: leave `lease` out",
        ));
    }
    let attempts = attempts(&place("attempts"), raw.attempts, delivery)?;
    let missed = missed(&place("missed"), &place("catch-up"), raw.missed.as_deref(), raw.catch_up)?;
    let start_deadline = raw.start_deadline.map(|span| span.0);
    if let Some(deadline) = start_deadline {
        within(&place("start-deadline"), deadline, MIN_START_DEADLINE, MAX_TIMEOUT)?;
    }
    let backoff = raw.backoff.map_or(Duration::from_secs(1), |span| span.0);
    within(&place("backoff"), backoff, Duration::ZERO, Duration::from_secs(3600))?;
    let spread = raw.spread.map_or(Duration::from_millis(50), |span| span.0);
    within(&place("spread"), spread, Duration::ZERO, apart)?;
    let rules = Rules {
        schedule,
        seal: super::seal::of_job(seals, &place("seal"), raw.seal.as_deref(), &record)?,
        lease_ms: millis(lease),
        delivery,
        missed,
        start_deadline_ms: start_deadline.map(millis),
        same_module: raw.require_same_module,
        settle: arbiter.settle(),
        renew_ms: (lease < whole).then(|| millis(lease / 2)),
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
            .ok_or_else(|| invalid(&place("memory"), format!("{bytes} bytes are not from 64KiB to 4GiB")))?;
    }
    super::grants::within_zone(&name, &raw.grants, arbiter)?;
    let module = Source::parse(&raw.module, base)
        .map_err(|error| invalid(&place("module"), error.to_string()).hint(error.hint()))?;
    let trust = Trust::new(&raw.sha256.0, &raw.minisign.0)
        .map_err(|error| invalid(&place(error.key()), error.to_string()).hint(error.hint()))?;
    let invocation =
        Invocation::new(raw.args, raw.env).map_err(|error| invalid(&place("args, env"), error.to_string()))?;
    let settings = Arc::new(settings(&place("config"), raw.config)?);
    let invocation = Arc::new(invocation);
    Ok(Job { record, rules, timeout, module, trust, limits, invocation, grants: raw.grants, settings, name })
}

fn delivery(place: &str, given: Option<&str>) -> Result<Delivery, Problem> {
    match given {
        None | Some("at-least-once") => Ok(Delivery::AtLeastOnce),
        Some("at-most-once") => Ok(Delivery::AtMostOnce),
        Some(other) => Err(unknown(place, other, &["at-least-once", "at-most-once"])),
    }
}

fn attempts(place: &str, given: Option<u32>, delivery: Delivery) -> Result<u32, Problem> {
    match (delivery, given) {
        (Delivery::AtMostOnce, None | Some(1)) => Ok(1),
        (Delivery::AtMostOnce, Some(attempts)) => Err(invalid(place, format!("{attempts} attempts are more than one"))
            .hint("with `delivery = \"at-most-once\"` there is no second one: leave `attempts` out")),
        (Delivery::AtLeastOnce, given) => {
            let attempts = given.unwrap_or(3);
            let is_valid = (1..=MAX_ATTEMPTS).contains(&attempts);
            let problem = || invalid(place, format!("{attempts} is not from 1 to {MAX_ATTEMPTS}"));
            is_valid.then_some(attempts).ok_or_else(problem)
        }
    }
}

fn missed(place: &str, most_place: &str, given: Option<&str>, most: Option<u32>) -> Result<Missed, Problem> {
    let missed = match given {
        None | Some("run-once") => Missed::RunOnce,
        Some("skip") => Missed::Skip,
        Some("catch-up") => {
            let most = most.unwrap_or(DEFAULT_CATCH_UP);
            if !(1..=MAX_CATCH_UP).contains(&most) {
                return Err(invalid(most_place, format!("{most} rounds are not from 1 to {MAX_CATCH_UP}")));
            }
            return Ok(Missed::CatchUp { most });
        }
        Some(other) => return Err(unknown(place, other, &["run-once", "skip", "catch-up"])),
    };
    if most.is_some() {
        return Err(invalid(most_place, "it is a bound for `missed = \"catch-up\"`, which is not asked for"));
    }
    Ok(missed)
}

fn unknown(place: &str, given: &str, known: &[&str]) -> Problem {
    let problem = invalid(place, format!("`{given}` is none of `{}`", known.join("`, `")));
    match nearest(given, known) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// TOML settings as JSON; dates become their text.
fn settings(place: &str, table: toml::Table) -> Result<serde_json::Map<String, serde_json::Value>, Problem> {
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
