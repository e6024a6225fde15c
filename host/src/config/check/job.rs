//! Checks a `[job.NAME]`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{bare, domain, millis, span, within};
use crate::config::error::{Problem, invalid};
use crate::config::{
    Agent, Arbiter, DEFAULT_TIMEOUT, Job, LEASE_MARGIN, MAX_ATTEMPTS, MAX_TIMEOUT, MIN_LEASE, Size, raw,
};
use crate::module::Source;
use crate::round::contender::{Backoff, Rules};
use crate::round::{Schedule, Seal};
use crate::runtime::Limits;

pub(in crate::config) fn job(
    name: String,
    raw: raw::Job,
    base: &Path,
    agent: &Agent,
    arbiter: &Arbiter,
) -> Result<Job, Problem> {
    let place = |key: &str| format!("[job.{name}] {key}");
    if name.is_empty() || name.len() > 63 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    {
        return Err(invalid(&format!("[job.{name:?}]"), "a job's name has 1 to 63 letters, digits, `-` and `_`"));
    }
    let record = domain(&place("record"), &raw.record)?;
    if let Arbiter::Rfc2136 { zone, .. } = arbiter
        && !zone.zone_of(&record)
    {
        let problem = format!("`{}` is not in the zone `{}`", bare(&record), bare(zone));
        return Err(invalid(&place("record"), problem).hint(format!("a name in it is `{name}.{}`", bare(zone))));
    }
    let every = raw.every.0;
    let schedule = Schedule::every(every.as_secs()).filter(|_| every.subsec_nanos() == 0).ok_or_else(|| {
        invalid(&place("every"), format!("{} is not a whole number of seconds from 1s to 366days", span(every)))
    })?;
    let timeout = raw.timeout.map_or(DEFAULT_TIMEOUT, |span| span.0);
    within(&place("timeout"), timeout, Duration::from_millis(10), MAX_TIMEOUT)?;
    let lease = raw.lease.map_or(timeout + LEASE_MARGIN, |span| span.0);
    within(&place("lease"), lease, MIN_LEASE, MAX_TIMEOUT + LEASE_MARGIN)?;
    let attempts = raw.attempts.unwrap_or(3);
    if !(1..=MAX_ATTEMPTS).contains(&attempts) {
        return Err(invalid(&place("attempts"), format!("{attempts} is not from 1 to {MAX_ATTEMPTS}")));
    }
    let backoff = raw.backoff.map_or(Duration::from_secs(1), |span| span.0);
    within(&place("backoff"), backoff, Duration::ZERO, Duration::from_secs(3600))?;
    let spread = raw.spread.map_or(Duration::from_millis(50), |span| span.0);
    within(&place("spread"), spread, Duration::ZERO, every)?;
    let rules = Rules {
        schedule,
        seal: Seal::none(),
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
            .ok_or_else(|| invalid(&place("memory"), format!("{bytes} bytes are not from 64KiB to 4GiB")))?;
    }
    let module = Source::parse(&raw.module, base)
        .map_err(|error| invalid(&place("module"), error.to_string()).hint(error.hint()))?;
    let settings = Arc::new(settings(&place("config"), raw.config)?);
    Ok(Job { record, rules, timeout, module, limits, grants: raw.grants, settings, name })
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
