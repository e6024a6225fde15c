//! Checks of `[job.NAME.grants]` that need more than the grants themselves: the arbiter's zone, and the records of all jobs.

use super::bare;
use crate::capability::Grants;
use crate::config::error::{Problem, invalid};
use crate::config::{Arbiter, Job};

/// Refuses a grant of names that the arbiter's account cannot change.
pub(super) fn within_zone(job: &str, grants: &Grants, arbiter: &Arbiter) -> Result<(), Problem> {
    let (Some(grant), Some(zone)) = (&grants.dns_update, arbiter.zone()) else { return Ok(()) };
    let place = format!("[job.{job}.grants] dns-update");
    if let Some(name) = grant.names().find(|name| !zone.zone_of(name)) {
        let problem = format!("`{}` is not in the zone `{}`", bare(name), bare(zone));
        return Err(invalid(&place, problem)
            .hint(format!("a job changes the zone of its arbiter: a name in it is `www.{}`", bare(zone))));
    }
    if grant.names_servers_of(zone) {
        let problem = format!("the NS records of `{}` are the zone's own, and no job changes them", bare(zone));
        return Err(
            invalid(&place, problem).hint("leave the type out; below the zone's own name, NS delegates a part of it")
        );
    }
    Ok(())
}

/// Refuses a grant of a name that has the record of a job, by which agents agree.
pub(in crate::config) fn refuse_changes_of_records(jobs: &[Job]) -> Result<(), Problem> {
    for job in jobs {
        let Some(grant) = &job.grants.dns_update else { continue };
        if let Some(other) = jobs.iter().find(|other| grant.names_exactly(&other.record)) {
            let problem = format!("`{}` is the record of job `{}`", bare(&other.record), other.name);
            return Err(invalid(&format!("[job.{}.grants] dns-update", job.name), problem)
                .hint("agents agree by it, and nothing at that name is changed: name another"));
        }
    }
    Ok(())
}
