//! What the server remembers: channels, messages and requests.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::http::Method;
use serde_json::Value;

use super::Fault;

/// How many requests are kept.
const MAX_SEEN: usize = 10_000;

/// A message that stands in a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The channel's id: `C0000000001`.
    pub channel: String,
    /// Its name, as in a grant: `#ops`.
    pub channel_name: String,
    /// Its name within the channel.
    pub ts: String,
    /// Its text; empty where there are blocks only.
    pub text: String,
    /// Its blocks, if it has any.
    pub blocks: Option<Value>,
    /// The message that it replies to.
    pub thread_ts: Option<String>,
    /// Its `metadata`.
    pub metadata: Option<Value>,
    /// Whether an update came after it.
    pub edited: bool,
    /// Whether it came by a webhook.
    pub by_webhook: bool,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method and path: `POST /api/chat.postMessage`.
    pub line: String,
    /// Its body as JSON; null if it is none.
    pub body: Value,
    /// When it came.
    pub at: Instant,
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) is_member: bool,
    pub(super) is_archived: bool,
}

impl Channel {
    pub(super) fn new(name: &str) -> Self {
        Self { id: String::new(), name: name.to_owned(), is_member: true, is_archived: false }
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) channels: Vec<Channel>,
    pub(super) messages: Vec<Message>,
    pub(super) scopes: Vec<String>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) look_faults: VecDeque<Fault>,
    pub(super) seen: Vec<Seen>,
}

impl Default for State {
    fn default() -> Self {
        let scopes = ["chat:write", "channels:history", "channels:read"].map(str::to_owned).to_vec();
        Self {
            channels: Vec::new(),
            messages: Vec::new(),
            scopes,
            faults: VecDeque::new(),
            look_faults: VecDeque::new(),
            seen: Vec::new(),
        }
    }
}

impl State {
    pub(super) fn add(&mut self, channel: Channel) {
        let id = format!("C{:010}", self.channels.len() + 1);
        self.channels.push(Channel { id, ..channel });
    }

    /// By its id, or its name with or without `#`, as `chat.postMessage` takes it.
    pub(super) fn channel(&self, name: &str) -> Option<&Channel> {
        let fits = |channel: &&Channel| {
            channel.id == name || channel.name == name || channel.name.strip_prefix('#') == Some(name)
        };
        self.channels.iter().find(fits)
    }

    /// A time stamp that no other message has.
    pub(super) fn next_ts(&self) -> String {
        let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        format!("{second}.{:06}", 100 + self.messages.len())
    }

    pub(super) fn see(&mut self, method: &Method, path: &str, body: &[u8]) {
        assert!(self.seen.len() < MAX_SEEN, "too many requests for a test");
        let body = serde_json::from_slice(body).unwrap_or_default();
        self.seen.push(Seen { line: format!("{method} {path}"), body, at: Instant::now() });
    }
}
