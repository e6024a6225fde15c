//! Checks what TOML says: names, places, times and sizes within their limits.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::rr::Name;

use super::error::{Problem, invalid, nearest};
use super::{AGENT_NAME, Agent, Arbiter, Job, LEASE_MARGIN, MAX_ATTEMPTS, MAX_TIMEOUT, MAX_TTL, MIN_LEASE, Size, raw};
use crate::arbiter::tsig::{Algorithm, Key};
use crate::module::Source;
use crate::round::Schedule;
use crate::round::contender::{Backoff, Rules};
use crate::runtime::Limits;

pub(super) fn refuse_shared_records(jobs: &[Job]) -> Result<(), Problem> {
    for (index, job) in jobs.iter().enumerate() {
        if let Some(other) = jobs[..index].iter().find(|other| other.record == job.record) {
            let place = format!("[job.{}] record", job.name);
            let problem = format!("`{}` is the record of job `{}` already", bare(&job.record), other.name);
            return Err(invalid(&place, problem).hint("each job needs a record of its own"));
        }
    }
    Ok(())
}

pub(super) fn agent(raw: raw::Agent) -> Result<Agent, Problem> {
    let from_env = std::env::var(AGENT_NAME).ok();
    let place = if from_env.is_some() { "the environment variable `SOLOIST_AGENT_NAME`" } else { "[agent] name" };
    let name = from_env.or(raw.name).unwrap_or_else(host_name);
    let name: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name: String = name.trim_matches('-').chars().take(40).collect();
    if name.is_empty() {
        return Err(invalid(place, "must have a letter or digit"));
    }
    let grace = raw.grace.map_or(Duration::from_secs(10), |span| span.0);
    let reread = raw.reread.map_or(Duration::from_secs(30), |span| span.0);
    within("[agent] grace", grace, Duration::ZERO, Duration::from_secs(3600))?;
    within("[agent] reread", reread, Duration::from_secs(1), Duration::from_secs(3600))?;
    Ok(Agent { name, grace, reread })
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // The first label: records are public.
    name.split('.').next().filter(|label| !label.is_empty()).unwrap_or("agent").to_owned()
}

pub(super) fn arbiter(raw: raw::Arbiter, base: &Path) -> Result<Arbiter, Problem> {
    match raw.kind.as_str() {
        "memory" => Ok(Arbiter::Memory),
        "rfc2136" => {
            let missing = |key: &str, line: &str| {
                invalid("[arbiter]", format!("the key `{key}` is missing")).hint(format!("write `{line}`"))
            };
            let server = raw.server.ok_or_else(|| missing("server", "server = \"192.0.2.1:53\""))?;
            if server.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
                let problem = format!("`{server}` is no address and port");
                return Err(invalid("[arbiter] server", problem)
                    .hint("write it as \"192.0.2.1:53\", \"[2001:db8::1]:53\" or \"ns1.example.com:53\""));
            }
            let zone = raw.zone.ok_or_else(|| missing("zone", "zone = \"example.com\""))?;
            let key =
                raw.key.ok_or_else(|| missing("key", "key = { name = \"soloist\", secret-file = \"soloist.key\" }"))?;
            let timeout = raw.timeout.map_or(Duration::from_secs(2), |span| span.0);
            within("[arbiter] timeout", timeout, Duration::from_millis(50), Duration::from_secs(60))?;
            let ttl = raw.ttl.unwrap_or(60);
            if ttl > MAX_TTL {
                return Err(invalid("[arbiter] ttl", format!("{ttl} is not from 0 to {MAX_TTL}, in seconds")));
            }
            Ok(Arbiter::Rfc2136 {
                server,
                zone: domain("[arbiter] zone", &zone)?,
                key: tsig_key(key, base)?,
                ttl,
                timeout,
            })
        }
        other => {
            let kinds = ["rfc2136", "memory"];
            let problem = invalid("[arbiter] kind", format!("`{other}` is no arbiter"));
            Err(problem.hint(nearest(other, &kinds).map_or_else(
                || format!("the arbiters are `{}`", kinds.join("`, `")),
                |near| format!("did you mean `{near}`?"),
            )))
        }
    }
}

fn tsig_key(raw: raw::Key, base: &Path) -> Result<Key, Problem> {
    const PLACE: &str = "[arbiter] key";
    const HINT: &str = "write `secret-file = \"soloist.key\"`, or `secret-env = \"SOLOIST_KEY\"`";
    let algorithm = raw.algorithm.as_deref().map_or(Ok(Algorithm::default()), Algorithm::from_str)?;
    match (raw.secret_file, raw.secret_env) {
        (Some(file), None) if !base.join(&file).exists() && looks_like_a_secret(&file.to_string_lossy()) => {
            Err(invalid(PLACE, "`secret-file` names a file, and a secret seems to stand there itself").hint(
                "put the secret in a file of its own, readable by the agent only, and write the file's name there",
            ))
        }
        (None, Some(variable)) if looks_like_a_secret(&variable) => {
            Err(invalid(PLACE, "`secret-env` names an environment variable, and a secret seems to stand there itself")
                .hint("write the variable's name there"))
        }
        (Some(file), None) => Ok(Key::from_file(&raw.name, algorithm, &base.join(file))?),
        (None, Some(variable)) => Ok(Key::from_env(&raw.name, algorithm, &variable)?),
        (None, None) => Err(invalid(PLACE, "there is no secret").hint(HINT)),
        (Some(_), Some(_)) => Err(invalid(PLACE, "there are both `secret-file` and `secret-env`").hint(HINT)),
    }
}

/// Whether a text may be the base64 of a key: then no error repeats it. A name is too short for one, or has a dot.
fn looks_like_a_secret(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| bytes.len() >= 16)
}

pub(super) fn job(name: String, raw: raw::Job, base: &Path, agent: &Agent, arbiter: &Arbiter) -> Result<Job, Problem> {
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
    let timeout = raw.timeout.map_or(super::DEFAULT_TIMEOUT, |span| span.0);
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

fn domain(place: &str, text: &str) -> Result<Name, Problem> {
    let mut name = Name::from_str(text).map_err(|_| {
        invalid(place, format!("`{text}` is no domain name")).hint("it is written like `canary.example.com`")
    })?;
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

fn within(place: &str, given: Duration, least: Duration, most: Duration) -> Result<(), Problem> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    Err(invalid(place, format!("{} is not from {} to {}", span(given), span(least), span(most))))
}

fn span(span: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(span)
}

/// A name as people write it.
fn bare(name: &Name) -> String {
    name.to_string().trim_end_matches('.').to_owned()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
