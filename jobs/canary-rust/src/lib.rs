//! Asks a URL, holds the answer against the job's settings, and tells Slack when the state changes.
//!
//! A bad state is a final failure, so the record carries the state from run to run, whichever agent does them: `ok` is
//! good, `error` is bad *and told*. A change that could not be told is a failure worth a retry, and told by the next run.

mod check;
mod notice;

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use soloist_sdk::{Context, Failure, config, http, log, slack};

use check::State;

soloist_sdk::job!(run);

/// How much of the run is kept for telling Slack; a quarter of a short run.
const RESERVE: Duration = Duration::from_secs(5);

/// The job's settings: `[job.NAME.config]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// What to ask.
    url: String,
    /// Where to tell; none to tell nobody.
    channel: Option<String>,
    /// The status that is good.
    #[serde(default = "ok")]
    status: u16,
    /// The longest time that is good, in milliseconds.
    latency: Option<u64>,
    /// The longest time to wait for an answer at all, in milliseconds.
    #[serde(default = "ten_seconds")]
    timeout: u64,
    /// A field of the JSON in the body (RFC 6901) that must be there.
    json_pointer: Option<String>,
    /// What that field must be.
    json_equals: Option<Value>,
}

const fn ok() -> u16 {
    200
}

const fn ten_seconds() -> u64 {
    10_000
}

fn run(context: Context) -> Result<String, Failure> {
    let settings: Settings = config::load()?;
    if settings.json_equals.is_some() && settings.json_pointer.is_none() {
        return Err(Failure::final_("the setting `json-equals` needs `json-pointer`"));
    }

    let left = context.time_left();
    let wait = Duration::from_millis(settings.timeout).min(left - RESERVE.min(left / 4));
    let start = Instant::now();
    let answer = http::Request::get(settings.url.as_str()).timeout(wait).send();
    let took = start.elapsed();
    let state = match answer {
        // That is trouble with this job's configuration, not with the service.
        Err(error @ (http::Error::Denied(_) | http::Error::Invalid(_))) => return Err(error.into()),
        answer => check::check(&settings, answer, took),
    };
    log::debug!("{} is {state}", settings.url);

    let told = match notice::notice(context.previous.as_deref(), &state, &context.job, &settings.url) {
        Some(text) => tell(settings.channel.as_deref(), text, &state)?,
        None => String::new(),
    };
    match state {
        State::Good(_) => Ok(format!("{state}{told}")),
        State::Bad(_) => Err(Failure::final_(format!("{state}{told}"))),
    }
}

/// Posts the text; says so for the summary. Whatever keeps it from being posted is worth a retry: with a final failure the
/// record would say `error`, and the next run would take the change for told.
fn tell(channel: Option<&str>, text: String, state: &State) -> Result<String, Failure> {
    let Some(channel) = channel else { return Ok(String::new()) };
    match slack::post(channel, text) {
        Ok(_) => Ok(format!("; told {channel}")),
        Err(error) => Err(Failure::retry(format!("{state}; {channel} could not be told: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use soloist_sdk::test::{Host, Ran};

    use super::*;

    const URL: &str = "https://api.example.com/health";

    fn host(previous: &str) -> Host {
        Host::new()
            .config("url", URL)
            .config("channel", "#ops")
            .previous(previous)
            // The job measures with the machine's own clock.
            .context(|context| context.deadline_ms = u64::MAX / 2_000_000)
    }

    fn texts(ran: &Ran) -> Vec<&str> {
        ran.posts.iter().map(|post| post.text.as_str()).collect()
    }

    #[test]
    fn a_service_that_goes_down_is_told_once_and_the_run_is_final() {
        let ran = host("ok").respond(URL, 503, "").run(run);
        let Err(Failure::Final(reason)) = &ran.result else { panic!("{ran:?}") };
        assert_eq!(reason, "bad: status 503, and 200 is good; told #ops");
        assert!(matches!(texts(&ran)[..], [text] if text.contains("*job* is bad")), "{ran:?}");
        let ran = host("error").respond(URL, 503, "").run(run);
        assert!(matches!(ran.result, Err(Failure::Final(_))) && ran.posts.is_empty(), "{ran:?}");
    }

    #[test]
    fn a_service_that_is_back_is_told() {
        let ran = host("error").respond(URL, 200, "").run(run);
        assert!(ran.result.is_ok_and(|summary| summary.ends_with("; told #ops")));
    }

    #[test]
    fn what_could_not_be_told_is_worth_another_attempt() {
        let ran =
            host("ok").respond(URL, 503, "").refuse_post("#ops", slack::Error::Rejected("no_text".to_owned())).run(run);
        assert!(matches!(ran.result, Err(Failure::Retry(_))) && ran.posts.is_empty(), "{:?}", ran.result);
    }

    #[test]
    fn a_missing_grant_is_no_bad_state() {
        let ran = host("ok").run(run);
        assert!(matches!(&ran.result, Err(Failure::Final(reason)) if !reason.starts_with("bad")), "{ran:?}");
        assert!(ran.posts.is_empty());
    }
}
