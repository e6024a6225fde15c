//! Streaming through the gate: both bodies at once, trailers, lengths, limits, and an end for what the module leaves open.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use reqwest::Url;
use soloist::capability::Grants;
use soloist::capability::http::{Error, Gate, MAX_STREAM, Outgoing, Stream};
use soloist::runtime::{Facts, Request};
use soloist_tests::guest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// How long a test waits for what must come.
const LONG: Duration = Duration::from_secs(30);

/// The server's end of the next connection.
async fn accept(listener: &TcpListener) -> TcpStream {
    tokio::time::timeout(LONG, listener.accept()).await.expect("a connection").expect("no error").0
}

/// Reads until the text has come.
async fn read_until(connection: &mut TcpStream, wanted: &str) -> String {
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(wanted) {
        let mut piece = [0; 4096];
        let read = tokio::time::timeout(LONG, connection.read(&mut piece)).await.expect("it comes");
        let read = read.expect("no error");
        assert!(read > 0, "{}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, origin)
}

fn gate(origin: &str, request: &Request) -> Arc<Gate> {
    let grants: Grants = toml::from_str(&format!("http = [\"{origin}\"]")).expect("grants");
    Arc::new(Gate::new(grants.http.expect("a grant"), guest::services(), Arc::new(Facts::new(request))))
}

fn post(origin: &str) -> Outgoing {
    Outgoing {
        method: Method::POST,
        url: Url::parse(origin).expect("a URL"),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: None,
        follow: false,
    }
}

type Pieces = mpsc::UnboundedSender<Result<Frame<Bytes>, Error>>;

/// A body that is written by hand.
fn body(length: Option<u64>) -> (Pieces, Stream, Arc<()>) {
    let (write, mut pieces) = mpsc::unbounded_channel();
    let frames = futures_util::stream::poll_fn(move |cx| pieces.poll_recv(cx));
    let alive = Arc::new(());
    (write, Stream { body: StreamBody::new(frames).boxed_unsync(), length, alive: Arc::downgrade(&alive) }, alive)
}

fn piece(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

#[tokio::test]
async fn both_bodies_go_on_at_the_same_time() {
    let (listener, origin) = listen().await;
    let (write, stream, _alive) = body(None);
    let gate = gate(&origin, &guest::request());
    let asking = tokio::spawn(async move { gate.stream(post(&origin), stream).await });
    write.send(Ok(piece("ping-1"))).unwrap();
    let mut server = accept(&listener).await;
    let head = read_until(&mut server, "ping-1").await;
    assert!(head.to_lowercase().contains("transfer-encoding: chunked"), "{head}");
    // The response begins before the request's body ends.
    server.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npong-1\r\n").await.unwrap();
    let mut incoming = asking.await.unwrap().unwrap();
    assert_eq!(incoming.chunk().await.unwrap().unwrap(), "pong-1");
    write.send(Ok(piece("ping-2"))).unwrap();
    read_until(&mut server, "ping-2").await;
    server.write_all(b"6\r\npong-2\r\n").await.unwrap();
    assert_eq!(incoming.chunk().await.unwrap().unwrap(), "pong-2");
    drop(write);
    read_until(&mut server, "0\r\n\r\n").await;
    server.write_all(b"0\r\nx-sum: 2\r\n\r\n").await.unwrap();
    let trailers = incoming.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers["x-sum"], "2");
    assert!(incoming.frame().await.unwrap().is_none());
}

#[tokio::test]
async fn a_length_that_was_said_is_sent() {
    let (listener, origin) = listen().await;
    let (write, stream, _alive) = body(Some(6));
    let gate = gate(&origin, &guest::request());
    write.send(Ok(piece("ping-1"))).unwrap();
    drop(write);
    let asking = tokio::spawn(async move { gate.stream(post(&origin), stream).await });
    let mut server = accept(&listener).await;
    let head = read_until(&mut server, "ping-1").await.to_lowercase();
    assert!(head.contains("content-length: 6\r\n") && !head.contains("transfer-encoding"), "{head}");
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert_eq!(asking.await.unwrap().unwrap().status(), 204);
}

/// What the server has got when the connection ends.
async fn rest(mut server: TcpStream) -> String {
    let mut text = Vec::new();
    // An end by force is an end.
    let _ = tokio::time::timeout(LONG, server.read_to_end(&mut text)).await.expect("the connection ends");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_body_that_its_run_leaves_open_never_looks_whole() {
    let (listener, origin) = listen().await;
    let (write, stream, alive) = body(None);
    let gate = gate(&origin, &guest::request());
    let asking = tokio::spawn(async move { gate.stream(post(&origin), stream).await });
    write.send(Ok(piece("half of it"))).unwrap();
    let mut server = accept(&listener).await;
    read_until(&mut server, "half of it").await;
    // As a trap leaves it: the run is gone, and then its end of the stream.
    drop(alive);
    drop(write);
    assert!(!rest(server).await.contains("0\r\n\r\n"));
    assert!(matches!(asking.await.unwrap(), Err(Error::Failed(_))));
}

#[tokio::test]
async fn an_endless_request_ends_at_its_limit_and_at_the_runs_deadline() {
    let (listener, origin) = listen().await;
    let (write, stream, _alive) = body(None);
    let gate = gate(&origin, &Request { deadline: LONG, ..guest::request() });
    let asking = tokio::spawn(async move { gate.stream(post(&origin), stream).await });
    let megabyte = Bytes::from(vec![b'x'; 1 << 20]);
    for _ in 0..=MAX_STREAM >> 20 {
        write.send(Ok(Frame::data(megabyte.clone()))).unwrap();
    }
    let reading = tokio::spawn(rest(accept(&listener).await));
    assert!(matches!(asking.await.unwrap(), Err(Error::TooLarge(_))));
    assert!(!reading.await.unwrap().ends_with("0\r\n\r\n"));

    let (listener, origin) = listen().await;
    let (write, stream, _alive) = body(None);
    let gate = gate_until(&origin, Duration::from_millis(500));
    let asking = tokio::spawn(async move { gate.stream(post(&origin), stream).await });
    write.send(Ok(piece("and"))).unwrap();
    let mut server = accept(&listener).await;
    server.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    let mut incoming = asking.await.unwrap().unwrap();
    assert_eq!(incoming.chunk().await, Err(Error::Timeout));
    assert!(!rest(server).await.contains("0\r\n\r\n"));
}

fn gate_until(origin: &str, deadline: Duration) -> Arc<Gate> {
    gate(origin, &Request { deadline, ..guest::request() })
}
