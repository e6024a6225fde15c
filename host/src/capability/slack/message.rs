//! A message and its JSON: what Slack would refuse is refused here first.

use serde_json::{Map, Value, json};

use super::post::Error;
use crate::runtime::Facts;

/// The longest text, in characters: Slack cuts a longer one.
pub const MAX_TEXT: usize = 40_000;

/// The most blocks of a message, as Slack allows.
pub const MAX_BLOCKS: usize = 50;

/// The largest text of blocks, in bytes.
const MAX_BLOCKS_BYTES: usize = 256 * 1024;

/// The longest `ts`, in bytes.
const MAX_TS: usize = 32;

/// The `event_type` of the metadata that a message is found again by.
pub(super) const EVENT_TYPE: &str = "soloist_message";

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

/// Text and blocks, checked, as fields of the JSON that is sent.
///
/// # Errors
/// There is neither, or one of them is malformed or too long.
pub(super) fn content(message: &Message) -> Result<Map<String, Value>, Error> {
    let characters = message.text.chars().count();
    if characters > MAX_TEXT {
        return Err(Error::Invalid(format!("the text has {characters} characters, and at most {MAX_TEXT} are posted")));
    }
    let mut fields = Map::new();
    if !message.text.is_empty() {
        fields.insert("text".to_owned(), Value::from(message.text.as_str()));
    }
    if let Some(blocks) = &message.blocks {
        fields.insert("blocks".to_owned(), parse_blocks(blocks)?);
    }
    if fields.is_empty() {
        return Err(Error::Invalid("the message has neither text nor blocks".to_owned()));
    }
    if let Some(thread) = &message.thread {
        check_ts(thread)?;
        fields.insert("thread_ts".to_owned(), Value::from(thread.as_str()));
    }
    Ok(fields)
}

/// What a message is found again by: the fence and its number in the run, and the agent, which no other process has.
pub(super) fn metadata(facts: &Facts, number: u32) -> Value {
    json!({
        "event_type": EVENT_TYPE,
        "event_payload": {
            "job": facts.job, "agent": facts.agent, "round": facts.fence.round, "attempt": facts.fence.attempt,
            "number": number,
        },
    })
}

/// # Errors
/// The text is no time stamp, as `1503435956.000247` is.
pub(super) fn check_ts(ts: &str) -> Result<(), Error> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match ts.split_once('.') {
        Some((seconds, rest)) if ts.len() <= MAX_TS && digits(seconds) && digits(rest) => Ok(()),
        _ => Err(Error::Invalid(format!(
            "`{}` is no time stamp of a message, as `1503435956.000247` is",
            crate::runtime::clean(ts, MAX_TS)
        ))),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str, blocks: Option<&str>) -> Message {
        Message { channel: "#ops".to_owned(), text: text.to_owned(), blocks: blocks.map(str::to_owned), thread: None }
    }

    #[test]
    fn the_content_is_text_blocks_and_thread() {
        let sent = |message: Message| Value::Object(content(&message).unwrap()).to_string();
        assert_eq!(sent(message("hi", None)), r#"{"text":"hi"}"#);
        assert_eq!(sent(message("", Some(r#"[{"type":"divider"}]"#))), r#"{"blocks":[{"type":"divider"}]}"#);
        let reply = Message { thread: Some("1503435956.000247".to_owned()), ..message("hi", None) };
        assert_eq!(sent(reply), r#"{"text":"hi","thread_ts":"1503435956.000247"}"#);
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
            let error = content(&message(text, blocks)).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(content(&message(&"ä".repeat(MAX_TEXT), None)).is_ok());
        assert!(content(&message(&"ä".repeat(MAX_TEXT + 1), None)).is_err());
        for ts in ["", "1", "1.", ".1", "1.2&x=y", "1.2.3", &"1.".repeat(20)] {
            let reply = Message { thread: Some(ts.to_owned()), ..message("x", None) };
            assert!(matches!(content(&reply), Err(Error::Invalid(_))), "{ts}");
        }
    }
}
