//! A guest that uses the standard `wasi:http` itself: bodies are streamed both ways, with trailers, by the same rules as all
//! that leaves a run.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use soloist::capability::{Granted, Grants};
use soloist::round::Outcome;
use soloist::runtime::{Report, Request, run};
use soloist_tests::guest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::module;

/// How long a test waits for what must come.
const LONG: Duration = Duration::from_secs(60);

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// A server of one connection, as a test plays it.
struct Server {
    listener: TcpListener,
    authority: String,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let authority = listener.local_addr().expect("an address").to_string();
        Self { listener, authority }
    }

    async fn accept(&self) -> Connection {
        let accepted = tokio::time::timeout(LONG, self.listener.accept()).await.expect("a connection");
        Connection { stream: accepted.expect("no error").0, read: String::new() }
    }

    /// Starts the guest with this mode and these settings beside it, and the grant of this server.
    fn guest(&self, settings: Value, deadline: Duration) -> tokio::task::JoinHandle<Report> {
        let Value::Object(mut settings) = settings else { panic!("settings are an object") };
        settings.insert("authority".to_owned(), self.authority.as_str().into());
        let grants: Grants = toml::from_str(&format!("http = [\"http://{}\"]", self.authority)).expect("grants");
        let granted = Arc::new(Granted::new(grants, guest::services()));
        let prepared = module("streaming-rust").prepare("canary", granted).expect("it is granted all");
        tokio::spawn(async move {
            run(&prepared, Request { settings: Arc::new(settings), deadline, ..guest::request() }).await
        })
    }
}

/// The server's end of a connection, and all that came over it.
struct Connection {
    stream: TcpStream,
    read: String,
}

impl Connection {
    /// Reads until this has come.
    async fn until(&mut self, wanted: &str) {
        while !self.read.contains(wanted) {
            assert!(self.more().await, "the connection ended before `{wanted}`: {}", self.read);
        }
    }

    /// Whether more came before the end.
    async fn more(&mut self) -> bool {
        let mut piece = [0; 4096];
        let read = tokio::time::timeout(LONG, self.stream.read(&mut piece)).await.expect("it comes or ends");
        // An end by force is an end.
        let read = read.unwrap_or_default();
        self.read.push_str(&String::from_utf8_lossy(&piece[..read]));
        read > 0
    }

    /// Everything up to the end.
    async fn rest(mut self) -> String {
        while self.more().await {}
        self.read
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("it is sent");
    }

    async fn chunk(&mut self, text: &str) {
        self.send(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn both_bodies_are_streamed_piece_by_piece() {
    let server = Server::start().await;
    let running = server.guest(json!({"mode": "talk", "pieces": 4}), LONG);
    let mut connection = server.accept().await;
    // The guest sends a piece only after the answer to the one before: whoever gathered a body would wait for ever.
    for piece in 0..4 {
        connection.until(&format!("piece-{piece}\n")).await;
        assert!(!connection.read.contains(&format!("piece-{}", piece + 1)), "{}", connection.read);
        if piece == 0 {
            let head = connection.read.to_lowercase();
            assert!(head.starts_with("post / http/1.1\r\n") && head.contains("transfer-encoding: chunked"), "{head}");
            connection.send(CHUNKED).await;
        }
        connection.chunk(&format!("answer-{piece}\n")).await;
    }
    connection.until("\r\n0\r\n").await;
    connection.send(b"0\r\nx-sum: 4\r\n\r\n").await;
    let report = running.await.expect("no panic");
    assert_eq!(report.outcome, Outcome::Ok, "{}", report.message);
    assert_eq!(report.message, "answer-0 answer-1 answer-2 answer-3; 0 more; x-sum: 4");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn a_body_that_a_run_leaves_open_never_looks_whole() {
    for (mode, deadline, outcome) in
        [("panic", LONG, Outcome::Panic), ("wait", Duration::from_secs(2), Outcome::Timeout)]
    {
        let server = Server::start().await;
        let running = server.guest(json!({"mode": mode}), deadline);
        let mut connection = server.accept().await;
        connection.until("piece-0\n").await;
        if mode == "panic" {
            connection.send(CHUNKED).await;
        }
        let report = running.await.expect("no panic");
        assert_eq!(report.outcome, outcome, "{}", report.message);
        let read = connection.rest().await;
        assert!(!read.contains("\r\n0\r\n"), "{mode}: {read}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn a_redirect_is_for_the_guest_to_see() {
    let server = Server::start().await;
    let running = server.guest(json!({"mode": "get", "path": "/a?b"}), LONG);
    let mut connection = server.accept().await;
    connection.until("\r\n\r\n").await;
    assert!(connection.read.starts_with("GET /a?b HTTP/1.1\r\n"), "{}", connection.read);
    connection.send(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 3\r\n\r\nabc").await;
    let report = running.await.expect("no panic");
    assert_eq!((report.outcome, &*report.message), (Outcome::Ok, "302; 3 bytes;"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn a_response_without_end_ends_at_its_limit() {
    let server = Server::start().await;
    let running = server.guest(json!({"mode": "get"}), LONG);
    let mut connection = server.accept().await;
    connection.until("\r\n\r\n").await;
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let megabyte = vec![b'x'; 1 << 20];
    let mut sent = 0;
    // Whoever reads no more closes the connection, or leaves it full.
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_secs(20), connection.stream.write_all(&megabyte)).await {
        sent += 1;
        assert!(sent < 100, "{sent} MiB were taken");
    }
    let report = running.await.expect("no panic");
    assert_eq!(report.outcome, Outcome::Error, "{}", report.message);
    assert!(report.message.contains("response body size exceeds limit"), "{}", report.message);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn the_guests_own_limits_of_time_are_kept() {
    // The run itself has a minute.
    for (limit, error) in [("first-byte-ms", "HttpResponseTimeout"), ("between-bytes-ms", "connection read timeout")] {
        let (server, begun) = (Server::start().await, std::time::Instant::now());
        let running = server.guest(json!({"mode": "get", limit: 200}), LONG);
        let mut connection = server.accept().await;
        connection.until("\r\n\r\n").await;
        if limit == "between-bytes-ms" {
            connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await;
        }
        let report = running.await.expect("no panic");
        assert_eq!(report.outcome, Outcome::Error, "{limit}: {}", report.message);
        assert!(report.message.contains(error), "{limit}: {}", report.message);
        // Without it, the host's own limit is half a minute.
        assert!(begun.elapsed() < Duration::from_secs(25), "{limit}: {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn nothing_is_smuggled_past_the_host() {
    let server = Server::start().await;
    let running = server.guest(json!({"mode": "smuggle"}), LONG);
    // Of the body that is longer than was said, this much is sent, and of the shorter one nothing that looks whole.
    let said = "\r\n\r\nxxxxxxxx";
    let mut connection = server.accept().await;
    connection.until(said).await;
    connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let report = running.await.expect("no panic");
    assert_eq!((report.outcome, &*report.message), (Outcome::Ok, "65 refused"));
    assert!(connection.read.ends_with(said), "{}", connection.read);
    connection.stream.shutdown().await.expect("it is still there");
    let left = connection.rest().await;
    assert_eq!(left.matches("xxxxxxxx").count(), 1, "{left}");
}
