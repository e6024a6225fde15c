//! Messages to Slack, against a fake that checks what the real one checks: content type, authorization, payload.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use soloist::capability::slack::{Error, Grant, MAX_POSTS, Message, Poster};
use soloist::capability::{Services, ServicesConfig};
use soloist::runtime::{Facts, Lease, Request};
use soloist_tests::guest;

const TOKEN: &str = "xoxb-geheim";

/// A fake of Slack that answers what it was told to, and `ok` after that.
struct Slack {
    base: String,
    shared: Shared,
    task: tokio::task::JoinHandle<()>,
}

/// Status, `retry-after` and body.
type Answer = (u16, Option<u32>, String);

#[derive(Clone, Default)]
struct Shared {
    posted: Arc<Mutex<Vec<Value>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Drop for Slack {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Slack {
    async fn start() -> Self {
        let shared = Shared::default();
        let router = Router::new()
            .route("/api/chat.postMessage", post(post_message))
            .route("/services/geheim", post(webhook))
            .with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the server runs");
        });
        Self { base, shared, task }
    }

    fn answer(&self, status: u16, retry_after: Option<u32>, body: &str) {
        self.shared.answers.lock().expect("no test panicked here").push_back((status, retry_after, body.to_owned()));
    }

    fn posted(&self) -> Vec<Value> {
        self.shared.posted.lock().expect("no test panicked here").clone()
    }

    /// A poster with a token, and a webhook for `#hook`.
    fn poster(&self, request: &Request) -> Poster {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), TOKEN).expect("a token");
        std::fs::write(folder.path().join("hook"), format!("{}/services/geheim", self.base)).expect("a webhook");
        let config = format!(
            "[slack]\ntoken-file = \"token\"\napi = \"{}/api\"\n[slack.webhooks]\n\"#hook\" = {{ file = \"hook\" }}",
            self.base
        );
        poster(&config, folder.path(), request)
    }
}

fn poster(config: &str, folder: &Path, request: &Request) -> Poster {
    let config: ServicesConfig = toml::from_str(config).expect("a configuration");
    let services = Services::new(&config, folder).expect("services");
    Poster::new(Grant::of(["#ops", "#hook"]).expect("channels"), services, Arc::new(Facts::new(request)))
}

fn told(shared: &Shared) -> Option<Response> {
    let (status, retry_after, body) = shared.answers.lock().expect("no test panicked here").pop_front()?;
    let mut response = (StatusCode::from_u16(status).expect("a status"), body).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    Some(response)
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get("content-type").is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

async fn post_message(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.get("authorization").map(axum::http::HeaderValue::as_bytes) != Some(format!("Bearer {TOKEN}").as_bytes())
    {
        return axum_json(&json!({"ok": false, "error": "not_authed"}));
    }
    let Some(message) = is_json(&headers).then(|| serde_json::from_slice::<Value>(&body).ok()).flatten() else {
        return axum_json(&json!({"ok": false, "error": "invalid_json"}));
    };
    if let Some(answer) = told(&shared) {
        return answer;
    }
    if !message["channel"].is_string() {
        return axum_json(&json!({"ok": false, "error": "channel_not_found"}));
    }
    shared.posted.lock().expect("no test panicked here").push(message);
    axum_json(&json!({"ok": true, "channel": "C0123456789", "ts": "1700000000.000100"}))
}

async fn webhook(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(message) = is_json(&headers).then(|| serde_json::from_slice::<Value>(&body).ok()).flatten() else {
        return (StatusCode::BAD_REQUEST, "invalid_payload").into_response();
    };
    if let Some(answer) = told(&shared) {
        return answer;
    }
    shared.posted.lock().expect("no test panicked here").push(message);
    "ok".into_response()
}

fn axum_json(value: &Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}

fn message(channel: &str) -> Message {
    Message { channel: channel.to_owned(), text: "it is down".to_owned(), blocks: None, thread: None }
}

#[tokio::test]
async fn a_token_posts_to_the_channel_and_gives_the_time_stamp() {
    let slack = Slack::start().await;
    let poster = slack.poster(&guest::request());
    let blocks = Some(r#"[{"type": "divider"}]"#.to_owned());
    let posted = poster.post(Message { blocks, ..message("#ops") }).await.unwrap();
    assert_eq!(posted.map(|posted| posted.ts).as_deref(), Some("1700000000.000100"));
    assert_eq!(slack.posted(), [json!({"channel": "#ops", "text": "it is down", "blocks": [{"type": "divider"}]})]);
}

#[tokio::test]
async fn a_webhook_is_preferred_for_its_channel() {
    let slack = Slack::start().await;
    assert_eq!(slack.poster(&guest::request()).post(message("#hook")).await, Ok(None));
    assert_eq!(slack.posted(), [json!({"text": "it is down"})]);
}

#[tokio::test]
async fn a_channel_without_a_grant_or_credentials_is_denied() {
    let slack = Slack::start().await;
    let poster = slack.poster(&guest::request());
    for channel in ["#dev", "ops", "#OPS"] {
        let error = poster.post(message(channel)).await.unwrap_err();
        assert!(matches!(&error, Error::Denied(reason) if reason.contains("under `[job.canary.grants]`")), "{error:?}");
    }
    let without = poster_without_secrets();
    let error = without.post(message("#ops")).await.unwrap_err();
    assert!(matches!(&error, Error::Denied(reason) if reason.contains("`[slack]`")), "{error:?}");
    assert!(slack.posted().is_empty());
}

fn poster_without_secrets() -> Poster {
    poster("", Path::new(""), &guest::request())
}

#[tokio::test]
async fn slacks_refusals_are_given_as_their_codes() {
    let slack = Slack::start().await;
    let poster = slack.poster(&guest::request());
    slack.answer(200, None, r#"{"ok":false,"error":"channel_not_found"}"#);
    assert_eq!(poster.post(message("#ops")).await, Err(Error::Rejected("channel_not_found".to_owned())));
    slack.answer(404, None, "no_service\n");
    assert_eq!(poster.post(message("#hook")).await, Err(Error::Rejected("no_service".to_owned())));
    slack.answer(500, None, "rollup_error");
    assert!(matches!(poster.post(message("#hook")).await, Err(Error::Unavailable(_))));
    slack.answer(302, None, "");
    assert!(matches!(poster.post(message("#ops")).await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn a_short_wait_is_waited_and_a_long_one_reported() {
    let slack = Slack::start().await;
    let poster = slack.poster(&guest::request());
    slack.answer(429, Some(1), "");
    assert!(poster.post(message("#ops")).await.is_ok());
    slack.answer(429, Some(3600), "");
    assert_eq!(poster.post(message("#ops")).await, Err(Error::RateLimited(3600)));
    for _ in 0..3 {
        slack.answer(429, Some(0), "");
    }
    assert_eq!(poster.post(message("#hook")).await, Err(Error::RateLimited(0)), "three tries, and no more");
    assert_eq!(slack.posted().len(), 1);
}

#[tokio::test]
async fn nothing_is_posted_without_a_lease_even_after_a_wait() {
    let slack = Slack::start().await;
    let lease = Lease::unlimited();
    let poster = slack.poster(&Request { lease: lease.clone(), ..guest::request() });
    slack.answer(429, Some(1), "");
    let posting = tokio::spawn(async move { poster.post(message("#ops")).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    lease.revoke();
    assert!(matches!(posting.await.unwrap(), Err(Error::Lost(_))));
    assert!(slack.posted().is_empty());
}

#[tokio::test]
async fn no_error_holds_a_secret() {
    let slack = Slack::start().await;
    let poster = slack.poster(&guest::request());
    assert!(!format!("{poster:?}").contains("geheim"));
    // Nobody listens there any more.
    slack.task.abort();
    while !slack.task.is_finished() {
        tokio::task::yield_now().await;
    }
    for channel in ["#hook", "#ops"] {
        let error = poster.post(message(channel)).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("geheim") && !text.contains("/services"), "{text}");
    }
}

#[tokio::test]
async fn messages_are_bounded_in_number() {
    let slack = Slack::start().await;
    let poster = slack.poster(&guest::request());
    for _ in 0..MAX_POSTS {
        poster.post(message("#hook")).await.unwrap();
    }
    assert!(matches!(poster.post(message("#hook")).await, Err(Error::Invalid(_))));
}
