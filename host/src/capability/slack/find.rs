//! Finding things again at Slack: a channel's id by its name, and a message whose answer was lost by its metadata.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::api::{Caller, Trouble};
use super::message::{EVENT_TYPE, Posted};
use crate::capability::Secret;
use crate::clock::wall_ms;

/// How long to wait before each look: a request can arrive after its connection broke.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];

/// How far back a thread's replies are looked at, by this machine's clock.
const REPLIES_MS: u64 = 3600 * 1000;

/// How many pages of channels are turned, each of up to 1,000.
const MAX_PAGES: usize = 10;

/// The ids of channels, by the names that grants have for them, as Slack has told them.
#[derive(Debug, Default)]
pub(in crate::capability) struct Ids(Mutex<HashMap<String, String>>);

impl Ids {
    fn get(&self, channel: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(channel).cloned()
    }

    /// Channels are those of grants, so that there are only so many.
    pub(super) fn learn(&self, channel: &str, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.to_owned(), id.to_owned());
    }
}

/// Whether this is a channel's id and no name: names have no capitals.
fn is_id(channel: &str) -> bool {
    channel.len() >= 9
        && channel.starts_with(['C', 'G', 'D'])
        && channel.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// The id of a granted channel; none if Slack knows no such channel or does not tell.
///
/// # Errors
/// Slack cannot be asked, or refuses to tell: a token needs `channels:read` for it, and `groups:read` for private channels.
pub(super) async fn id_of(caller: Caller<'_>, token: &Secret, channel: &str) -> Result<Option<String>, Trouble> {
    if is_id(channel) {
        return Ok(Some(channel.to_owned()));
    }
    let ids = caller.services.slack_ids();
    if let Some(known) = ids.get(channel) {
        return Ok(Some(known));
    }
    for kind in ["public_channel", "private_channel"] {
        let found = match search(caller, token, kind, channel.trim_start_matches('#')).await {
            // The other kind needs another scope.
            Err(Trouble::Rejected(code)) if code == "missing_scope" && kind == "private_channel" => None,
            found => found?,
        };
        if let Some(id) = found {
            ids.learn(channel, &id);
            return Ok(Some(id));
        }
    }
    Ok(None)
}

async fn search(caller: Caller<'_>, token: &Secret, kind: &str, name: &str) -> Result<Option<String>, Trouble> {
    let mut cursor = String::new();
    for _ in 0..MAX_PAGES {
        let query = [("types", kind), ("exclude_archived", "true"), ("limit", "1000"), ("cursor", &cursor)];
        let page = caller.read(token, "conversations.list", &query).await?;
        let mut channels = page["channels"].as_array().into_iter().flatten();
        if let Some(channel) = channels.find(|channel| channel["name"] == name) {
            return Ok(channel["id"].as_str().map(str::to_owned));
        }
        match page["response_metadata"]["next_cursor"].as_str() {
            Some(next) if !next.is_empty() => next.clone_into(&mut cursor),
            _ => break,
        }
    }
    Ok(None)
}

/// Looks for a message that carries this metadata, several times; none if it is not there.
///
/// # Errors
/// Slack cannot be asked, or does not let this token look: that takes `channels:history`, and `groups:history` for
/// private channels.
pub(super) async fn message(
    caller: Caller<'_>,
    token: &Secret,
    channel: &str,
    thread: Option<&str>,
    metadata: &Value,
) -> Result<Option<Posted>, Trouble> {
    let unknown = || Trouble::Rejected("channel_not_found".to_owned());
    let id = id_of(caller, token, channel).await?.ok_or_else(unknown)?;
    for pause in PAUSES {
        if pause >= caller.facts.remaining() {
            break;
        }
        sleep(pause).await;
        if let Some(ts) = look(caller, token, &id, thread, metadata).await? {
            return Ok(Some(Posted { channel: id, ts }));
        }
    }
    Ok(None)
}

/// One look at the newest messages.
async fn look(
    caller: Caller<'_>,
    token: &Secret,
    id: &str,
    thread: Option<&str>,
    metadata: &Value,
) -> Result<Option<String>, Trouble> {
    let oldest = format!("{}.000000", wall_ms().saturating_sub(REPLIES_MS) / 1000);
    let answer = match thread {
        // Newest first.
        None => {
            let query = [("channel", id), ("limit", "100"), ("include_all_metadata", "true")];
            caller.read(token, "conversations.history", &query).await?
        }
        // Oldest first.
        Some(ts) => {
            let query =
                [("channel", id), ("ts", ts), ("oldest", &*oldest), ("limit", "999"), ("include_all_metadata", "true")];
            caller.read(token, "conversations.replies", &query).await?
        }
    };
    let is_it = |message: &&Value| {
        message["metadata"]["event_type"] == EVENT_TYPE
            && message["metadata"]["event_payload"] == metadata["event_payload"]
    };
    let mut messages = answer["messages"].as_array().into_iter().flatten();
    Ok(messages.find(is_it).and_then(|message| message["ts"].as_str()).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_no_name() {
        for id in ["C0123456789", "G01234567", "D024BE91L"] {
            assert!(is_id(id), "{id}");
        }
        for name in ["#ops", "ops", "C1", "Customers", "CUSTOMERS-1", "#C0123456789"] {
            assert!(!is_id(name), "{name}");
        }
    }
}
