//! Asks a URL, and says how it was answered.

use serde::Deserialize;
use soloist_sdk::{Context, Failure, config, http, log};

soloist_sdk::job!(run);

/// The job's settings: `[job.NAME.config]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// What to ask.
    url: String,
}

/// Does the job once. The text is a summary for people; `?` makes a failure of any error.
fn run(context: Context) -> Result<String, Failure> {
    let Settings { url } = config::load()?;
    log::info!("round {}, attempt {}: asking {url}", context.round, context.attempt);
    let response = http::get(&url)?;
    if !response.is_success() {
        return Err(Failure::retry(format!("{url} answered {}", response.status)));
    }
    Ok(format!("{url} answered {} with {} bytes", response.status, response.body.len()))
}

#[cfg(test)]
mod tests {
    use soloist_sdk::test::Host;

    use super::*;

    const URL: &str = "https://example.com/";

    #[test]
    fn an_answer_is_summed_up() {
        let ran = Host::new().config("url", URL).respond(URL, 200, "hello").run(run);
        assert_eq!(ran.result, Ok("https://example.com/ answered 200 with 5 bytes".to_owned()));
        assert_eq!(ran.requests.len(), 1);
    }

    #[test]
    fn a_service_that_is_down_is_worth_another_attempt() {
        let ran = Host::new().config("url", URL).respond(URL, 503, "").run(run);
        assert_eq!(ran.result, Err(Failure::retry("https://example.com/ answered 503")));
    }

    #[test]
    fn a_missing_setting_is_final() {
        assert!(matches!(Host::new().run(run).result, Err(Failure::Final(_))));
    }
}
