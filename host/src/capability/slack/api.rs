//! One exchange with Slack, by a webhook or a method of the Web API, and what its answer means.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::Level;

use super::post::Error;
use crate::capability::http::client_error_text;
use crate::capability::{Secret, Services};
use crate::runtime::{Facts, LeaseLost, clean};

/// The longest that one exchange may take.
const MAX_TIME: Duration = Duration::from_secs(10);

/// The largest answer that is read, in bytes: a page of a channel's history.
const MAX_ANSWER: usize = 4 << 20;

/// How long to wait where Slack does not say, in seconds.
const DEFAULT_WAIT: u32 = 1;

/// Errors of the Web API that are Slack's own trouble: the method may have done its work.
const SERVER_ERRORS: [&str; 4] = ["fatal_error", "internal_error", "request_timeout", "service_unavailable"];

/// Why an exchange did not end well.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The run must not act any more. Nothing was sent.
    Lost(LeaseLost),
    /// Slack asks to wait this many seconds. Nothing was done.
    RateLimited(u32),
    /// Slack was not reached. Nothing was done.
    Unsent(String),
    /// There is no answer that tells: it may have been done.
    Open(String),
    /// Refused, with this code. Nothing was done.
    Rejected(String),
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Lost(lost) => Self::Lost(lost),
            Trouble::RateLimited(wait) => Self::RateLimited(wait),
            Trouble::Unsent(reason) => Self::Unavailable(reason),
            Trouble::Open(reason) => Self::Unavailable(format!("{reason}; the message may have been posted")),
            Trouble::Rejected(code) => Self::Rejected(code),
        }
    }
}

/// Whoever asks Slack in a run's name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) services: &'a Services,
    pub(super) facts: &'a Facts,
}

impl Caller<'_> {
    /// Posts by an incoming webhook, which answers in plain text.
    pub(super) async fn webhook(self, url: &Secret, body: String) -> Result<(), Trouble> {
        let (status, wait, answer) =
            self.exchange(with_json(self.services.clients().host().post(url.expose()), body)).await?;
        check_status(status, wait)?;
        if status.is_success() { Ok(()) } else { Err(Trouble::Rejected(code(&answer, status))) }
    }

    /// Calls a method that writes.
    pub(super) async fn write(self, token: &Secret, method: &str, body: String) -> Result<Value, Trouble> {
        let url = self.services.slack().method(method);
        self.method(token, with_json(self.services.clients().host().post(url), body)).await
    }

    /// Calls a method that reads, which takes no JSON.
    pub(super) async fn read(self, token: &Secret, method: &str, query: &[(&str, &str)]) -> Result<Value, Trouble> {
        let mut url = self.services.slack().method(method);
        url.query_pairs_mut().extend_pairs(query);
        self.method(token, self.services.clients().host().get(url)).await
    }

    async fn method(self, token: &Secret, request: RequestBuilder) -> Result<Value, Trouble> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| Trouble::Unsent("the host's Slack token cannot be sent".to_owned()))?;
        value.set_sensitive(true);
        let (status, wait, answer) = self.exchange(request.header(AUTHORIZATION, value)).await?;
        check_status(status, wait)?;
        let judged = judge(status, &answer, wait);
        if let (Err(Trouble::Rejected(code)), Ok(answer)) = (&judged, serde_json::from_slice::<Value>(&answer)) {
            self.explain(code, &answer);
        }
        judged
    }

    /// Logs what Slack says beside its code: the scope that is missing, what is wrong with which block.
    fn explain(self, code: &str, answer: &Value) {
        let mut reasons: Vec<&str> = answer["needed"].as_str().into_iter().collect();
        reasons
            .extend(answer["response_metadata"]["messages"].as_array().into_iter().flatten().filter_map(Value::as_str));
        if !reasons.is_empty() {
            let line = format!("Slack answered `{code}`: {}", reasons.join(", "));
            self.facts.log.line(Level::WARN, &clean(&line, 1024));
        }
    }

    async fn exchange(self, request: RequestBuilder) -> Result<(StatusCode, u32, Vec<u8>), Trouble> {
        self.facts.check().map_err(Trouble::Lost)?;
        let deadline = Instant::now() + MAX_TIME.min(self.facts.remaining());
        let exchange = async {
            let response = request.send().await.map_err(|error| out_of_reach(&error))?;
            let (status, wait) = (response.status(), retry_after(&response));
            Ok((status, wait, read(response).await?))
        };
        let late = || Trouble::Open("Slack did not answer in time".to_owned());
        timeout_at(deadline, exchange).await.unwrap_or_else(|_| Err(late()))
    }
}

fn with_json(request: RequestBuilder, body: String) -> RequestBuilder {
    request.header(CONTENT_TYPE, "application/json; charset=utf-8").body(body)
}

fn out_of_reach(error: &reqwest::Error) -> Trouble {
    let reason = format!("Slack cannot be reached: {}", client_error_text(error));
    if error.is_connect() { Trouble::Unsent(reason) } else { Trouble::Open(reason) }
}

fn retry_after(response: &Response) -> u32 {
    let value = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(DEFAULT_WAIT)
}

async fn read(mut response: Response) -> Result<Vec<u8>, Trouble> {
    let mut answer = Vec::new();
    // Its status is there: whatever breaks now, the request arrived.
    let broken =
        |error: &reqwest::Error| Trouble::Open(format!("Slack's answer broke off: {}", client_error_text(error)));
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        if answer.len() + chunk.len() > MAX_ANSWER {
            return Err(Trouble::Open(format!("Slack's answer has more than {MAX_ANSWER} bytes")));
        }
        answer.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// What the status alone says.
fn check_status(status: StatusCode, wait: u32) -> Result<(), Trouble> {
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Trouble::RateLimited(wait));
    }
    if status.is_server_error() || status.is_redirection() {
        return Err(Trouble::Open(format!("Slack answered {status}")));
    }
    Ok(())
}

/// The error code in a webhook's answer, which is plain text: `invalid_payload`.
fn code(answer: &[u8], status: StatusCode) -> String {
    let text = clean(&String::from_utf8_lossy(answer), 200);
    if text.is_empty() || text.starts_with('<') { format!("status {}", status.as_u16()) } else { text }
}

/// What the JSON of a method says.
fn judge(status: StatusCode, answer: &[u8], wait: u32) -> Result<Value, Trouble> {
    let parsed = serde_json::from_slice::<Value>(answer).ok().filter(|answer| answer["ok"].is_boolean());
    let Some(parsed) = parsed else {
        return Err(if status.is_success() {
            Trouble::Open("Slack's answer makes no sense".to_owned())
        } else {
            Trouble::Rejected(code(answer, status))
        });
    };
    if parsed["ok"] == true {
        return Ok(parsed);
    }
    let code = clean(parsed["error"].as_str().unwrap_or("unknown_error"), 200);
    Err(match code.as_str() {
        "ratelimited" | "rate_limited" => Trouble::RateLimited(wait),
        server if SERVER_ERRORS.contains(&server) => Trouble::Open(format!("Slack answered `{server}`")),
        _ => Trouble::Rejected(code),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_says_how_long_to_wait_or_it_is_a_second() {
        for (value, wait) in [(Some("7"), 7), (Some(" 30 "), 30), (Some("soon"), 1), (Some("-1"), 1), (None, 1)] {
            let mut response = http::Response::builder();
            if let Some(value) = value {
                response = response.header(RETRY_AFTER, value);
            }
            assert_eq!(retry_after(&response.body("").unwrap().into()), wait, "{value:?}");
        }
    }

    #[test]
    fn the_web_apis_answers_mean_what_they_say() {
        let judge = |text: &str| super::judge(StatusCode::OK, text.as_bytes(), 7);
        assert_eq!(judge(r#"{"ok":true,"channel":"C1","ts":"1.2"}"#).unwrap()["ts"], "1.2");
        let refused = Err(Trouble::Rejected("channel_not_found".to_owned()));
        assert_eq!(judge(r#"{"ok":false,"error":"channel_not_found"}"#), refused);
        assert_eq!(judge(r#"{"ok":false,"error":"ratelimited"}"#), Err(Trouble::RateLimited(7)));
        assert!(matches!(judge(r#"{"ok":false,"error":"internal_error"}"#), Err(Trouble::Open(_))));
        assert!(matches!(judge("<html>"), Err(Trouble::Open(_))));
        assert!(matches!(judge("{}"), Err(Trouble::Open(_))));
    }
}
