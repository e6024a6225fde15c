//! A server that notes what it is asked, and behaves as its paths say.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use futures_util::StreamExt as _;

/// A server that remembers what it was asked.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone, Default)]
pub(crate) struct Seen {
    requests: Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>,
    pub(crate) open: Arc<AtomicUsize>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let seen = Seen::default();
        let router = Router::new()
            .route("/", any(|| async { "hello" }))
            .route("/echo", any(|body: Bytes| async move { body }))
            .route("/to/{status}", any(redirect))
            .route("/loop", any(|| async { (StatusCode::FOUND, [("location", "/loop")]) }))
            .route("/endless", any(|| async { endless() }))
            .route("/slow", any(slow))
            .route("/stuck", any(|| async { stuck() }))
            .route("/headers", any(|| async { [("x-large", "v".repeat(70_000))] }))
            .route("/wait", any(wait))
            .fallback(any(|| async { StatusCode::NOT_FOUND }))
            .layer(axum::middleware::from_fn_with_state(seen.clone(), remember))
            .with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the server runs");
        });
        Self { address, seen, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<(String, HeaderMap, Bytes)> {
        self.seen.requests.lock().expect("no test panicked here").clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|(line, ..)| line).collect()
    }
}

async fn remember(State(seen): State<Seen>, request: Request, next: axum::middleware::Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 4 << 20).await.expect("a body");
    let line = format!("{} {}", parts.method, parts.uri);
    seen.requests.lock().expect("no test panicked here").push((line, parts.headers.clone(), body.clone()));
    next.run(Request::from_parts(parts, Body::from(body))).await
}

async fn redirect(Path(status): Path<u16>, request: Request) -> Response {
    let location = request.uri().query().unwrap_or("/").to_owned();
    (StatusCode::from_u16(status).expect("a status"), [("location", location)]).into_response()
}

fn endless() -> Response {
    let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 65536])));
    Body::from_stream(chunks).into_response()
}

/// Begins, and never ends.
fn stuck() -> Response {
    let begun = futures_util::stream::once(async { Ok::<_, std::io::Error>(Bytes::from("x")) });
    Body::from_stream(begun.chain(futures_util::stream::pending())).into_response()
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_mins(10)).await;
    "late"
}

/// Answers its header at once and its body when as many requests are open as there may be.
async fn wait(State(seen): State<Seen>) -> Response {
    seen.open.fetch_add(1, Ordering::SeqCst);
    "waited".into_response()
}
