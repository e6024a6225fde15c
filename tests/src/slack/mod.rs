//! A Slack on loopback for tests: the methods and webhooks that jobs use, with requests checked and refused as Slack does
//! (`https://docs.slack.dev/reference/methods/chat.postMessage` and its neighbours), and faults on demand.

mod blocks;
mod methods;
mod state;
mod webhook;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use state::{Channel, State};
pub use state::{Message, Seen};

/// The bot token that it takes.
pub const TOKEN: &str = "xoxb-1111-2222-geheim";

/// What becomes of a request instead of an answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// 429 with `retry-after` in seconds; nothing is done.
    RateLimited(u32),
    /// This status with an empty page of HTML; nothing is done.
    Status(u16),
    /// `{"ok": false, "error": …}`, for the Web API; nothing is done.
    Error(&'static str),
    /// All is done as asked, and the connection breaks in the answer.
    LostAnswer,
    /// All is done as asked so long after the connection broke.
    Late(Duration),
    /// Nothing is done, and the connection breaks.
    LostRequest,
    /// All is done as asked, and the answer never comes.
    Silence,
    /// All is done as asked, and the answer has more than four megabytes.
    Flood,
}

/// The server. It ends when this goes out of scope.
///
/// It begins with three channels that the bot is a member of, `#ops`, `#status` and `#alerts`; with `#elsewhere`, which it
/// is no member of; and with `#old`, which is archived. Each has a webhook.
#[derive(Debug)]
pub struct Slack {
    address: SocketAddr,
    shared: Shared,
    task: AbortHandle,
}

type Shared = Arc<Mutex<State>>;

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slack {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// There is none.
    pub async fn start() -> Self {
        let shared = Shared::default();
        for name in ["#ops", "#status", "#alerts"] {
            lock(&shared).add(Channel::new(name));
        }
        lock(&shared).add(Channel { is_member: false, ..Channel::new("#elsewhere") });
        lock(&shared).add(Channel { is_archived: true, ..Channel::new("#old") });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let task = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { address, shared, task }
    }

    /// The Web API: what `api` under `[slack]` is set to.
    pub fn api(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// The incoming webhook of a channel.
    ///
    /// # Panics
    /// There is no such channel.
    pub fn webhook(&self, channel: &str) -> String {
        let state = lock(&self.shared);
        let id = &state.channel(channel).expect("the channel is there").id;
        format!("http://{}/services/T00000000/{id}/geheim", self.address)
    }

    /// The table `[slack]` of a configuration in this folder, with the token in a file there.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn by_token(&self, folder: &Path) -> String {
        std::fs::write(folder.join("slack.token"), TOKEN).expect("the token can be written");
        format!("[slack]\ntoken-file = \"slack.token\"\napi = \"{}\"\n", self.api())
    }

    /// The table `[slack]` with webhooks for these channels in files of this folder, and no token.
    ///
    /// # Panics
    /// A file cannot be written.
    pub fn by_webhook(&self, folder: &Path, channels: &[&str]) -> String {
        let mut text = "[slack.webhooks]\n".to_owned();
        for channel in channels {
            let file = format!("{}.webhook", channel.trim_start_matches('#'));
            std::fs::write(folder.join(&file), self.webhook(channel)).expect("the webhook can be written");
            text.push_str(&format!("\"{channel}\" = {{ file = \"{file}\" }}\n"));
        }
        text
    }

    /// Adds a channel that the bot is a member of.
    pub fn add_channel(&self, name: &str) {
        lock(&self.shared).add(Channel::new(name));
    }

    /// What the token may do; at first `chat:write`, `channels:history` and `channels:read`.
    pub fn set_scopes(&self, scopes: &[&str]) {
        lock(&self.shared).scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
    }

    /// What happens to the next message or update, after the faults that were asked for before.
    pub fn fail_next(&self, fault: Fault) {
        lock(&self.shared).faults.push_back(fault);
    }

    /// What happens to the next look at the history or the list of channels.
    pub fn fail_next_look(&self, fault: Fault) {
        lock(&self.shared).look_faults.push_back(fault);
    }

    /// Every message that stands in a channel, in the order of their arrival, edited ones as they are now.
    pub fn messages(&self) -> Vec<Message> {
        lock(&self.shared).messages.clone()
    }

    /// The texts of the messages of one channel.
    pub fn texts(&self, channel: &str) -> Vec<String> {
        let of = |message: &Message| (message.channel_name == channel).then(|| message.text.clone());
        self.messages().iter().filter_map(of).collect()
    }

    /// Every request so far, refused ones too.
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.shared).seen.clone()
    }

    /// No longer listens.
    pub async fn stop(&self) {
        self.task.abort();
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request as a method sees it.
struct Asked<'a> {
    method: &'a Method,
    query: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

impl Asked<'_> {
    /// The media type and whether a charset stands with it.
    fn content_type(&self) -> Option<(String, bool)> {
        let text = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
        let (media, parameters) = text.split_once(';').unwrap_or((&text, ""));
        Some((media.trim().to_owned(), parameters.contains("charset")))
    }
}

async fn answer(
    Extract(shared): Extract<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let name = path.strip_prefix("/api/").map(str::to_owned);
    let looks = name.as_deref().is_some_and(|name| name.starts_with("conversations."));
    let fault = {
        let mut state = lock(&shared);
        state.see(&method, &path, &body);
        if looks { state.look_faults.pop_front() } else { state.faults.pop_front() }
    };
    let serve = move |shared: &Shared| {
        let asked = Asked { method: &method, query: uri.query().unwrap_or_default(), headers: &headers, body: &body };
        let mut state = lock(shared);
        match &name {
            Some(name) => json_response(&methods::answer(&mut state, name, &asked)),
            None => webhook::answer(&mut state, &path, &asked),
        }
    };
    match fault {
        None => serve(&shared),
        Some(Fault::RateLimited(seconds)) => {
            let body = json!({"ok": false, "error": "ratelimited"}).to_string();
            let fields = [(header::RETRY_AFTER, seconds.to_string()), (header::CONTENT_TYPE, JSON.to_owned())];
            (StatusCode::TOO_MANY_REQUESTS, fields, body).into_response()
        }
        Some(Fault::Status(status)) => {
            (StatusCode::from_u16(status).expect("a status"), "<html></html>").into_response()
        }
        Some(Fault::Error(code)) => json_response(&json!({"ok": false, "error": code})),
        Some(Fault::LostAnswer) => {
            drop(serve(&shared));
            broken()
        }
        Some(Fault::Late(time)) => {
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                drop(serve(&shared));
            });
            broken()
        }
        Some(Fault::LostRequest) => broken(),
        Some(Fault::Silence) => {
            drop(serve(&shared));
            std::future::pending().await
        }
        Some(Fault::Flood) => {
            drop(serve(&shared));
            format!("{{\"ok\": true}}{}", " ".repeat(5 << 20)).into_response()
        }
    }
}

const JSON: &str = "application/json; charset=utf-8";

fn json_response(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, JSON)], value.to_string()).into_response()
}

/// An answer that breaks off with its connection, before its first byte.
fn broken() -> Response {
    let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>(error)])).into_response()
}
