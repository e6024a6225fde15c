//! Posting one message: the request to Slack, what its answers mean, and waiting when it asks to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};
use tracing::Level;

use super::Grant;
use crate::capability::http::client_error_text;
use crate::capability::{Secret, Services};
use crate::runtime::{Facts, LeaseLost, clean};

/// The longest text, in characters: Slack cuts a longer one.
pub const MAX_TEXT: usize = 40_000;

/// The most blocks of a message, as Slack allows.
pub const MAX_BLOCKS: usize = 50;

/// The largest text of blocks, in bytes.
const MAX_BLOCKS_BYTES: usize = 256 * 1024;

/// The most messages of a run.
pub const MAX_POSTS: u32 = 50;

/// How often a message is sent when Slack asks to come back later.
const MAX_TRIES: u32 = 3;

/// The longest that one exchange may take.
const MAX_TIME: Duration = Duration::from_secs(10);

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// How long to wait where Slack does not say.
const DEFAULT_WAIT: u32 = 1;

/// A message, as the job gives it.
#[derive(Debug, Clone)]
pub struct Message {
    /// The channel, as in the grant.
    pub channel: String,
    /// The text.
    pub text: String,
    /// Blocks: a JSON array.
    pub blocks: Option<String>,
    /// The `ts` of the message to reply to.
    pub thread: Option<String>,
}

/// Where a message stands that was posted with a bot token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The channel's id.
    pub channel: String,
    /// Its time stamp.
    pub ts: String,
}

/// Why a message was not posted, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The run must not act any more: this ends it, and is not for the job to see.
    #[error(transparent)]
    Lost(#[from] LeaseLost),
    /// No grant or no credentials.
    #[error("{0}")]
    Denied(String),
    /// Malformed or over a limit.
    #[error("{0}")]
    Invalid(String),
    /// Slack's error code.
    #[error("Slack refused the message: {0}")]
    Rejected(String),
    /// Slack asks to wait this many seconds.
    #[error("Slack asks to wait {0} seconds")]
    RateLimited(u32),
    /// Slack could not be reached or failed. The message may have been posted.
    #[error("{0}")]
    Unavailable(String),
}

/// What posts the messages of one run.
#[derive(Debug)]
pub struct Poster {
    grant: Grant,
    services: Services,
    facts: Arc<Facts>,
    posts: AtomicU32,
}

/// How a message goes out.
enum Way<'a> {
    Webhook(&'a Secret),
    Token(&'a Secret, &'a Url),
}

impl Poster {
    /// What posts for a run with this grant.
    pub fn new(grant: Grant, services: Services, facts: Arc<Facts>) -> Self {
        Self { grant, services, facts, posts: AtomicU32::new(0) }
    }

    /// Posts a message. Gives where it stands, if Slack tells it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn post(&self, message: Message) -> Result<Option<Posted>, Error> {
        let result = self.deliver(&message).await;
        if let Err(Error::Denied(reason)) = &result {
            self.services.count_denied();
            self.facts.log.line(Level::WARN, &format!("a message was denied: {reason}"));
        }
        result
    }

    async fn deliver(&self, message: &Message) -> Result<Option<Posted>, Error> {
        self.grant.check(&self.facts.job, &message.channel).map_err(Error::Denied)?;
        let way = self.way(&message.channel)?;
        let body = body(message, matches!(way, Way::Token(..)))?;
        if self.posts.fetch_add(1, Ordering::Relaxed) >= MAX_POSTS {
            return Err(Error::Invalid(format!("the run has posted its {MAX_POSTS} messages")));
        }
        let mut tries = 1;
        loop {
            let wait = match self.send(&way, &body).await {
                Err(Error::RateLimited(wait)) => wait,
                result => return result,
            };
            let pause = Duration::from_secs(wait.into());
            // Something of the run must be left after the pause.
            if tries == MAX_TRIES || pause + Duration::from_secs(1) >= self.facts.remaining() {
                return Err(Error::RateLimited(wait));
            }
            tries += 1;
            tokio::time::sleep(pause).await;
        }
    }

    /// The webhook for the channel, else the token.
    fn way(&self, channel: &str) -> Result<Way<'_>, Error> {
        let credentials = self.services.slack();
        if let Some(webhook) = credentials.webhooks.get(channel) {
            return Ok(Way::Webhook(webhook));
        }
        match &credentials.token {
            Some(token) => Ok(Way::Token(token, &credentials.post_message)),
            None => Err(Error::Denied(format!(
                "the host has no Slack credentials for `{channel}`: write `token-file = \"…\"` under `[slack]`, or \
                 `\"{channel}\" = {{ file = \"…\" }}` under `[slack.webhooks]`"
            ))),
        }
    }

    /// One exchange with Slack.
    async fn send(&self, way: &Way<'_>, body: &str) -> Result<Option<Posted>, Error> {
        let (url, authorization) = match way {
            Way::Webhook(url) => (url.expose(), None),
            Way::Token(token, url) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                    .map_err(|_| Error::Denied("the host's Slack token cannot be sent".to_owned()))?;
                value.set_sensitive(true);
                (url.as_str(), Some(value))
            }
        };
        self.facts.check()?;
        let deadline = Instant::now() + MAX_TIME.min(self.facts.remaining());
        let mut request = self.services.clients().host().post(url);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.header(CONTENT_TYPE, "application/json; charset=utf-8").body(body.to_owned());
        let exchange = async {
            let response = request.send().await.map_err(|error| unavailable(&error))?;
            let (status, wait) = (response.status(), retry_after(&response));
            Ok((status, wait, read(response).await?))
        };
        let late = || Error::Unavailable("Slack did not answer in time; the message may have been posted".to_owned());
        let (status, wait, answer) = timeout_at(deadline, exchange).await.unwrap_or_else(|_| Err(late()))?;
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Error::RateLimited(wait));
        }
        if status.is_server_error() || status.is_redirection() {
            return Err(Error::Unavailable(format!("Slack answered {status}; the message may have been posted")));
        }
        match way {
            Way::Webhook(_) if status.is_success() => Ok(None),
            Way::Webhook(_) => Err(Error::Rejected(code(&answer, status))),
            Way::Token(..) => judge(status, &answer, wait),
        }
    }
}

/// The JSON of a message. Only the Web API is told the channel: a webhook has its own.
fn body(message: &Message, with_channel: bool) -> Result<String, Error> {
    let characters = message.text.chars().count();
    if characters > MAX_TEXT {
        return Err(Error::Invalid(format!("the text has {characters} characters, and at most {MAX_TEXT} are posted")));
    }
    let mut body = Map::new();
    if with_channel {
        body.insert("channel".to_owned(), Value::from(message.channel.as_str()));
    }
    if !message.text.is_empty() {
        body.insert("text".to_owned(), Value::from(message.text.as_str()));
    }
    if let Some(blocks) = &message.blocks {
        body.insert("blocks".to_owned(), parse_blocks(blocks)?);
    }
    if let Some(thread) = &message.thread {
        if !with_channel {
            return Err(Error::Invalid("a reply in a thread needs a bot token, and a webhook was given".to_owned()));
        }
        body.insert("thread_ts".to_owned(), Value::from(thread.as_str()));
    }
    if !body.contains_key("text") && !body.contains_key("blocks") {
        return Err(Error::Invalid("the message has neither text nor blocks".to_owned()));
    }
    Ok(Value::Object(body).to_string())
}

fn parse_blocks(text: &str) -> Result<Value, Error> {
    let invalid = |reason: String| Error::Invalid(format!("the blocks {reason}"));
    if text.len() > MAX_BLOCKS_BYTES {
        return Err(invalid(format!("have {} bytes, and at most {MAX_BLOCKS_BYTES} are posted", text.len())));
    }
    let blocks: Value = serde_json::from_str(text).map_err(|error| invalid(format!("are no JSON: {error}")))?;
    match blocks.as_array() {
        None => Err(invalid("are no JSON array".to_owned())),
        Some(array) if array.is_empty() || array.len() > MAX_BLOCKS => {
            Err(invalid(format!("are {}, and a message has 1 to {MAX_BLOCKS}", array.len())))
        }
        Some(array) if !array.iter().all(Value::is_object) => Err(invalid("are not all JSON objects".to_owned())),
        Some(_) => Ok(blocks),
    }
}

fn unavailable(error: &reqwest::Error) -> Error {
    let posted = if error.is_connect() { "" } else { "; the message may have been posted" };
    Error::Unavailable(format!("Slack cannot be reached: {}{posted}", client_error_text(error)))
}

fn retry_after(response: &Response) -> u32 {
    let value = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(DEFAULT_WAIT)
}

async fn read(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unavailable(&error))? {
        let room = MAX_ANSWER - answer.len();
        answer.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            break;
        }
    }
    Ok(answer)
}

/// The error code in a webhook's answer, which is plain text: `invalid_payload`.
fn code(answer: &[u8], status: StatusCode) -> String {
    let text = clean(&String::from_utf8_lossy(answer), 200);
    if text.is_empty() || text.starts_with('<') { format!("status {}", status.as_u16()) } else { text }
}

/// The answer of `chat.postMessage`.
#[derive(Deserialize)]
struct PostMessage {
    ok: bool,
    channel: Option<String>,
    ts: Option<String>,
    error: Option<String>,
}

/// Errors of the Web API that are Slack's own trouble.
const SERVER_ERRORS: [&str; 4] = ["fatal_error", "internal_error", "request_timeout", "service_unavailable"];

fn judge(status: StatusCode, answer: &[u8], wait: u32) -> Result<Option<Posted>, Error> {
    let Ok(answer) = serde_json::from_slice::<PostMessage>(answer) else {
        return if status.is_success() {
            Err(Error::Unavailable("Slack's answer makes no sense; the message may have been posted".to_owned()))
        } else {
            Err(Error::Rejected(code(answer, status)))
        };
    };
    if answer.ok {
        return Ok(answer.channel.zip(answer.ts).map(|(channel, ts)| Posted { channel, ts }));
    }
    let code = clean(&answer.error.unwrap_or_else(|| "unknown_error".to_owned()), 200);
    match code.as_str() {
        "ratelimited" | "rate_limited" => Err(Error::RateLimited(wait)),
        server if SERVER_ERRORS.contains(&server) => {
            Err(Error::Unavailable(format!("Slack answered `{server}`; the message may have been posted")))
        }
        _ => Err(Error::Rejected(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str, blocks: Option<&str>) -> Message {
        Message { channel: "#ops".to_owned(), text: text.to_owned(), blocks: blocks.map(str::to_owned), thread: None }
    }

    #[test]
    fn a_webhook_is_not_told_its_channel() {
        assert_eq!(body(&message("hi", None), false).unwrap(), r#"{"text":"hi"}"#);
        assert_eq!(body(&message("hi", None), true).unwrap(), r##"{"channel":"#ops","text":"hi"}"##);
        let blocks = r#"[{"type":"divider"}]"#;
        assert_eq!(body(&message("", Some(blocks)), false).unwrap(), r#"{"blocks":[{"type":"divider"}]}"#);
    }

    #[test]
    fn what_slack_would_refuse_is_refused_here() {
        let many = format!("[{}]", vec!["{}"; 51].join(","));
        for (text, blocks, reason) in [
            ("", None, "neither text nor blocks"),
            ("x", Some("{}"), "no JSON array"),
            ("x", Some("[1]"), "not all JSON objects"),
            ("x", Some("[]"), "1 to 50"),
            ("x", Some(many.as_str()), "1 to 50"),
            ("x", Some("[{"), "no JSON"),
        ] {
            let error = body(&message(text, blocks), true).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(body(&message(&"ä".repeat(MAX_TEXT), None), true).is_ok());
        assert!(body(&message(&"ä".repeat(MAX_TEXT + 1), None), true).is_err());
    }

    #[test]
    fn the_web_apis_answers_mean_what_they_say() {
        let posted = Posted { channel: "C1".to_owned(), ts: "1.2".to_owned() };
        let judge = |text: &str| super::judge(StatusCode::OK, text.as_bytes(), 7);
        assert_eq!(judge(r#"{"ok":true,"channel":"C1","ts":"1.2"}"#), Ok(Some(posted)));
        assert_eq!(
            judge(r#"{"ok":false,"error":"channel_not_found"}"#),
            Err(Error::Rejected("channel_not_found".to_owned()))
        );
        assert_eq!(judge(r#"{"ok":false,"error":"ratelimited"}"#), Err(Error::RateLimited(7)));
        assert!(matches!(judge(r#"{"ok":false,"error":"internal_error"}"#), Err(Error::Unavailable(_))));
        assert!(matches!(judge("<html>"), Err(Error::Unavailable(_))));
    }
}
