//! Whether an answer is good.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use soloist_sdk::http::{Error, Response};

use crate::Settings;

/// The longest part of a value that is quoted, in characters.
const MAX_QUOTE: usize = 80;

/// The state of what is watched, with what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// All is as the settings ask.
    Good(String),
    /// Something is not.
    Bad(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good(seen) => write!(f, "good: {seen}"),
            Self::Bad(seen) => write!(f, "bad: {seen}"),
        }
    }
}

/// Holds an answer against the settings: status, then the JSON field, then the time it took.
pub(crate) fn check(settings: &Settings, answer: Result<Response, Error>, took: Duration) -> State {
    let response = match answer {
        Ok(response) => response,
        Err(error) => return State::Bad(error.to_string()),
    };
    if response.status != settings.status {
        return State::Bad(format!("status {}, and {} is good", response.status, settings.status));
    }
    if let Some(pointer) = &settings.json_pointer
        && let Err(problem) = check_field(&response, pointer, settings.json_equals.as_ref())
    {
        return State::Bad(problem);
    }
    let took = took.as_millis();
    match settings.latency {
        Some(limit) if took > u128::from(limit) => State::Bad(format!("{took} ms, and at most {limit} ms is good")),
        _ => State::Good(format!("status {} in {took} ms", response.status)),
    }
}

fn check_field(response: &Response, pointer: &str, wanted: Option<&Value>) -> Result<(), String> {
    let body: Value =
        serde_json::from_slice(&response.body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let found = body.pointer(pointer).ok_or_else(|| format!("the body has no field `{pointer}`"))?;
    match wanted {
        Some(wanted) if wanted != found => {
            Err(format!("the field `{pointer}` is {}, and {} is good", quote(found), quote(wanted)))
        }
        _ => Ok(()),
    }
}

fn quote(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(more: Value) -> Settings {
        let mut all = json!({ "url": "https://api.example.com/health" });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn state(more: Value, status: u16, body: &str) -> String {
        let response = Response { status, body: body.into(), ..Response::default() };
        check(&settings(more), Ok(response), Duration::from_millis(30)).to_string()
    }

    #[test]
    fn the_status_is_200_unless_the_settings_say_another() {
        assert_eq!(state(json!({}), 200, ""), "good: status 200 in 30 ms");
        assert_eq!(state(json!({}), 503, ""), "bad: status 503, and 200 is good");
        assert_eq!(state(json!({ "status": 204 }), 204, ""), "good: status 204 in 30 ms");
        assert_eq!(state(json!({ "status": 204 }), 200, ""), "bad: status 200, and 204 is good");
    }

    #[test]
    fn a_slow_answer_is_bad() {
        assert_eq!(state(json!({ "latency": 30 }), 200, ""), "good: status 200 in 30 ms");
        assert_eq!(state(json!({ "latency": 29 }), 200, ""), "bad: 30 ms, and at most 29 ms is good");
    }

    #[test]
    fn no_answer_is_bad() {
        let state = check(&settings(json!({})), Err(Error::Timeout), Duration::from_secs(10));
        assert_eq!(state.to_string(), "bad: no complete answer in time");
    }

    #[test]
    fn a_field_must_be_there_and_equal() {
        let wanted = json!({ "json-pointer": "/checks/0/state", "json-equals": "up" });
        assert_eq!(state(wanted.clone(), 200, r#"{"checks":[{"state":"up"}]}"#), "good: status 200 in 30 ms");
        assert_eq!(
            state(wanted.clone(), 200, r#"{"checks":[{"state":"down"}]}"#),
            r#"bad: the field `/checks/0/state` is "down", and "up" is good"#
        );
        assert_eq!(state(wanted.clone(), 200, "{}"), "bad: the body has no field `/checks/0/state`");
        assert!(state(wanted, 200, "<html>").starts_with("bad: the body is no JSON"));
        assert_eq!(state(json!({ "json-pointer": "/n" }), 200, r#"{"n":null}"#), "good: status 200 in 30 ms");
    }

    #[test]
    fn a_long_value_is_cut_where_a_character_ends() {
        let body = json!({ "n": "ä".repeat(1000) }).to_string();
        let state = state(json!({ "json-pointer": "/n", "json-equals": 1 }), 200, &body);
        assert!(state.contains('…') && state.chars().count() < 200, "{state}");
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let settings = serde_json::from_value::<Settings>(json!({ "url": "https://example.com", "latncy": 3 }));
        assert!(settings.unwrap_err().to_string().contains("latncy"));
    }
}
