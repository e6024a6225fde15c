//! Checks when a job is due: exactly one of `every` and `cron`, and the time zone of the latter.

use jiff::tz::{self, TimeZone, TimeZoneDatabase};

use super::span;
use crate::config::error::{Problem, invalid, nearest};
use crate::config::raw::Span;
use crate::round::{CronError, Schedule};

/// The time zone of a cron expression where nothing else is said: the only one that needs no database.
const DEFAULT_ZONE: &str = "UTC";

/// Names in a time zone database that mean another zone on every machine, or none.
const NOT_ZONES: [&str; 4] = ["localtime", "posixrules", "factory", "etc/unknown"];

/// `job` is the job's place: `[job.canary]`.
pub(super) fn schedule(
    job: &str,
    every: Option<Span>,
    cron: Option<&str>,
    timezone: Option<&str>,
) -> Result<Schedule, Problem> {
    match (every, cron) {
        (Some(_), Some(_)) => Err(invalid(job, "both `every` and `cron` are given").hint("keep one of the two")),
        (None, None) => Err(invalid(job, "nothing says when it is due")
            .hint("write `every = \"60s\"`, or `cron = \"*/5 9-17 * * MON-FRI\"` with `timezone = \"Europe/Sofia\"`")),
        (Some(_), None) if timezone.is_some() => Err(invalid(&format!("{job} timezone"), "`every` has no time zone")
            .hint("leave it out, or write `cron` instead of `every`")),
        (Some(Span(every)), None) => {
            Schedule::every(every.as_secs()).filter(|_| every.subsec_nanos() == 0).ok_or_else(|| {
                let problem = format!("{} is not a whole number of seconds from 1s to 366days", span(every));
                invalid(&format!("{job} every"), problem)
            })
        }
        (None, Some(cron)) => {
            let zone = zone(&format!("{job} timezone"), timezone.unwrap_or(DEFAULT_ZONE), tz::db())?;
            Schedule::cron(cron, zone).map_err(|error| {
                let problem = invalid(&format!("{job} cron"), error.to_string());
                match error {
                    CronError::Never(_) => problem.hint("`L` is the last day of a month: `0 9 L * *`"),
                    CronError::Syntax { .. } | CronError::TooLong(_) => {
                        problem.hint("minute, hour, day of the month, month, day of the week: `*/5 9-17 * * MON-FRI`")
                    }
                }
            })
        }
    }
}

/// The zone of this name in a database.
fn zone(place: &str, name: &str, database: &TimeZoneDatabase) -> Result<TimeZone, Problem> {
    let folded = name.to_ascii_lowercase();
    if name.eq_ignore_ascii_case(DEFAULT_ZONE) {
        return Ok(TimeZone::UTC);
    }
    if !NOT_ZONES.contains(&folded.as_str())
        && let Ok(zone) = database.get(name)
    {
        return Ok(zone);
    }
    let known: Vec<String> = database.available().map(|zone| zone.to_string()).collect();
    if known.is_empty() {
        return Err(invalid(place, format!("`{name}` is not known: this machine has no time zone database")).hint(
            "install it (`apt-get install tzdata`, `apk add tzdata`), or name its folder in `TZDIR`; `UTC` needs none",
        ));
    }
    let hint = match alike(&folded, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "a time zone is called like `Europe/Sofia`: `ls /usr/share/zoneinfo` shows them".to_owned(),
    };
    Err(invalid(place, format!("there is no time zone `{name}`")).hint(hint))
}

/// The known zone that was meant, perhaps: often its city alone is written, or with spaces.
fn alike<'a>(folded: &str, known: &'a [String]) -> Option<&'a str> {
    let wanted = folded.replace(' ', "_");
    let names: Vec<String> = known.iter().map(|name| name.to_ascii_lowercase()).collect();
    let city = |name: &String| name.rsplit('/').next() == Some(&wanted) && !NOT_ZONES.contains(&name.as_str());
    let place = names.iter().position(city).or_else(|| {
        let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| !NOT_ZONES.contains(name)).collect();
        let near = nearest(&wanted, &names)?;
        known.iter().position(|name| name.eq_ignore_ascii_case(near))
    })?;
    known.get(place).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_time_zones_still_knows_utc_and_says_what_it_lacks() {
        let none = TimeZoneDatabase::none();
        assert_eq!(zone("here", "UTC", &none).unwrap(), TimeZone::UTC);
        let Err(Problem::Value { problem, hint, .. }) = zone("here", "Europe/Sofia", &none) else {
            panic!("there is no such zone");
        };
        assert!(problem.contains("no time zone database"), "{problem}");
        assert!(hint.is_some_and(|hint| hint.contains("tzdata")));
    }
}
