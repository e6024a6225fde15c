//! Checks what TOML says: names, places, times and sizes within their limits.

mod arbiter;
mod grants;
mod job;
mod schedule;
mod seal;
mod store;

use std::net::SocketAddr;
use std::str::FromStr as _;
use std::time::Duration;

use hickory_proto::rr::Name;

pub(super) use arbiter::arbiter;
pub(super) use grants::refuse_changes_of_records;
pub(super) use job::job;
pub(super) use seal::{seal, seal_key};
pub(super) use store::{compiler, store};

use super::error::{Problem, invalid};
use super::{AGENT_NAME, Agent, Job, raw};
use crate::capability::secrets::{Grant, SecretsConfig};

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

pub(super) fn refuse_unknown_secrets(jobs: &[Job], secrets: &SecretsConfig) -> Result<(), Problem> {
    for job in jobs {
        let mut names = job.grants.secrets.iter().flat_map(Grant::names);
        if let Some(name) = names.find(|name| !secrets.has(name)) {
            return Err(invalid(&format!("[job.{}.grants] secrets", job.name), format!("there is no secret `{name}`"))
                .hint(format!("write `[secrets.{name}]` with `file` or `env`, and `origins`")));
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
    let metrics = raw.metrics.map(|text| address("[agent] metrics", &text)).transpose()?;
    Ok(Agent { name, grace, reread, metrics })
}

/// An address to listen on. Not a name: one may stand for more than is meant.
fn address(place: &str, text: &str) -> Result<SocketAddr, Problem> {
    text.parse().map_err(|_| {
        invalid(place, format!("`{text}` is no address and port"))
            .hint("write it as \"127.0.0.1:9464\" or \"[::1]:9464\"")
    })
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // The first label: records are public.
    name.split('.').next().filter(|label| !label.is_empty()).unwrap_or("agent").to_owned()
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
