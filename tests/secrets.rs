//! Secrets at the gate of a job's requests: put in on the way to their origins, refused elsewhere, taken out of answers.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderName, HeaderValue, Method};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use reqwest::Url;
use soloist::capability::http::{Error, Gate, Outgoing, Stream};
use soloist::capability::secrets::{PREFIX, Vault};
use soloist::capability::{Granted, Grants, Services, ServicesConfig};
use soloist::round::Outcome;
use soloist::runtime::{self, Engine, Facts, Module};
use soloist_tests::calls::{self, Import};
use soloist_tests::guest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

const SECRET: &str = "geheim/\"17\"-und-lang";

/// What a server was asked: method and path, header fields, body.
type Seen = (String, HeaderMap, Bytes);

/// A server that says what it was asked and repeats it.
struct Server {
    origin: String,
    seen: mpsc::UnboundedReceiver<Seen>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start() -> Self {
        let (tell, seen) = mpsc::unbounded_channel();
        let router = Router::new().fallback(any(answer)).with_state(tell);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("the server runs") });
        Self { origin, seen, task }
    }

    fn next(&mut self) -> Seen {
        self.seen.try_recv().expect("the server was asked")
    }

    fn is_idle(&mut self) -> bool {
        self.seen.try_recv().is_err()
    }
}

/// Repeats the body byte by byte, and the header `x-key` in another field. Redirects to the query where the path says so, with
/// the body in the URL for `/leak`.
async fn answer(State(tell): State<mpsc::UnboundedSender<Seen>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 4 << 20).await else { return StatusCode::BAD_REQUEST.into_response() };
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    let key = parts.headers.get("x-key").cloned();
    tell.send((format!("{} {}", parts.method, parts.uri), parts.headers, body.clone())).expect("the test goes on");
    let mut response = match &*path {
        "/to" => (StatusCode::TEMPORARY_REDIRECT, [("location", query)]).into_response(),
        "/leak" => {
            let shown = url_form(&String::from_utf8_lossy(&body));
            (StatusCode::FOUND, [("location", format!("{query}?{shown}"))]).into_response()
        }
        "/whole" => body.clone().into_response(),
        "/packed" => ([("content-encoding", "gzip")], body.clone()).into_response(),
        _ => {
            let bytes = body.into_iter().map(|byte| Ok::<_, std::io::Error>(Bytes::from(vec![byte])));
            Body::from_stream(futures_util::stream::iter(bytes)).into_response()
        }
    };
    if let Some(key) = key {
        response.headers_mut().insert("x-echo", key);
    }
    response
}

fn url_form(text: &str) -> String {
    let form = |byte: u8| match byte {
        b'-' | b'0'..=b'9' | b'a'..=b'z' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(form).collect()
}

/// A run with the secret `key`, bound to the first of the origins, and a grant of all of them.
fn run(origins: &[&str]) -> (Gate, Services, String) {
    run_with(SECRET, origins)
}

fn run_with(secret: &str, origins: &[&str]) -> (Gate, Services, String) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("key"), secret).expect("a secret");
    let config = format!("[secrets.key]\nfile = \"key\"\norigins = [\"{}\"]", origins[0]);
    let config: ServicesConfig = toml::from_str(&config).expect("a configuration");
    let services = Services::new(&config, folder.path()).expect("services");
    let vault = Vault::new(services.secret("key").cloned());
    let placeholder = vault.placeholder("key").expect("it is there").to_owned();
    let grants: Grants = toml::from_str(&format!("http = {origins:?}")).expect("grants");
    let facts = Arc::new(Facts::new(&guest::request()));
    let gate = Gate::with_secrets(grants.http.expect("a grant"), services.clone(), facts, Arc::new(vault));
    (gate, services, placeholder)
}

fn post(url: &str, key: &str, body: &str) -> Outgoing {
    Outgoing {
        method: Method::POST,
        url: Url::parse(url).expect("a URL"),
        headers: HeaderMap::from_iter([(HeaderName::from_static("x-key"), key.parse().expect("a value"))]),
        body: Bytes::from(body.to_owned()),
        timeout: None,
        follow: true,
    }
}

#[tokio::test]
async fn the_secret_is_put_in_on_the_way_and_taken_out_of_the_answer() {
    let mut server = Server::start().await;
    let (gate, _, placeholder) = run(&[&server.origin]);
    assert!(placeholder.starts_with(PREFIX));
    // At its end stands what the secret begins with.
    let body = format!("{{\"key\": \"{placeholder}\", \"again\": \"{placeholder}\"}} geheim/");
    let incoming = gate.send(post(&server.origin, &placeholder, &body)).await.unwrap();
    assert_eq!(incoming.headers()["x-echo"], *placeholder);
    assert_eq!(incoming.body().await.unwrap(), body, "the echo holds the placeholder again, across every border");

    let (_, headers, sent) = server.next();
    assert_eq!(headers["x-key"], SECRET);
    assert_eq!(sent, body.replace(&placeholder, SECRET));
    assert_eq!(headers["content-length"], *sent.len().to_string());
    assert_eq!(headers["accept-encoding"], "identity");

    // What the server says of its length is not that of what the job gets.
    let whole = gate.send(post(&format!("{}/whole", server.origin), "x", &placeholder)).await.unwrap();
    assert!(!whole.headers().contains_key("content-length"), "{:?}", whole.headers());
    assert_eq!(whole.body().await.unwrap(), placeholder);
}

#[tokio::test]
async fn header_fields_are_bounded_with_their_secrets_in() {
    let mut server = Server::start().await;
    let (gate, _, placeholder) = run_with(&"s3cret-".repeat(500), &[&server.origin]);
    let fields = |many: usize| {
        let mut request = post(&server.origin, "x", "");
        let name = |number: usize| format!("x-{number}").parse::<HeaderName>().unwrap();
        request.headers.extend((0..many).map(|number| (name(number), placeholder.parse().unwrap())));
        request
    };
    let error = gate.send(fields(19)).await.unwrap_err();
    assert!(matches!(&error, Error::TooLarge(reason) if reason.contains("at most 65536")), "{error:?}");
    assert!(gate.send(fields(18)).await.is_ok());
    assert_eq!(server.next().1["x-0"].len(), 3500);
    assert!(server.is_idle());
}

#[tokio::test]
async fn a_trailer_loses_the_secret_too() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (gate, _, placeholder) = run(&[&format!("http://{}", listener.local_addr().unwrap())]);
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(connection.read_u8().await.unwrap());
        }
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n";
        connection.write_all(format!("{head}x-echo: {SECRET}\r\n\r\n").as_bytes()).await.unwrap();
    });
    let mut incoming = gate.send(Outgoing { method: Method::GET, ..post(&url, "x", "") }).await.unwrap();
    assert_eq!(incoming.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
    let trailers = incoming.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers["x-echo"], *placeholder);
}

#[tokio::test]
async fn basic_credentials_are_encoded_with_the_secret_in_them() {
    let mut server = Server::start().await;
    let (gate, _, placeholder) = run(&[&server.origin]);
    let mut request = post(&server.origin, "x", "");
    request.headers.insert("authorization", format!("Basic me:{placeholder}").parse().unwrap());
    gate.send(request).await.unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("me:{SECRET}"));
    assert_eq!(server.next().1["authorization"], *format!("Basic {encoded}"));
}

#[tokio::test]
async fn another_origin_gets_neither_the_secret_nor_the_placeholder() {
    let (mut bound, mut other) = (Server::start().await, Server::start().await);
    let (gate, services, placeholder) = run(&[&bound.origin, &other.origin]);
    let elsewhere = &other.origin.clone();
    let mut requests = vec![
        post(elsewhere, &placeholder, ""),
        post(elsewhere, "x", &format!("key={placeholder}")),
        // Where it would be seen by others, even on the way to its own origin.
        post(&format!("{}/?key={placeholder}", bound.origin), "x", ""),
    ];
    let mut named = post(&bound.origin, "x", "");
    named.headers.insert(placeholder.parse::<HeaderName>().unwrap(), HeaderValue::from_static("x"));
    requests.push(named);
    let refused = requests.len() as u64;
    for request in requests {
        let error = gate.send(request).await.unwrap_err();
        assert!(matches!(&error, Error::Denied(reason) if !reason.contains(SECRET)), "{error:?}");
    }
    // Where certificates are shown, the name is all that is sent.
    let error = gate.certificates(&format!("https://{placeholder}.example.com"), None).await.unwrap_err();
    assert!(matches!(&error, Error::Denied(reason) if reason.contains("stands in the URL")), "{error:?}");
    assert_eq!(services.denied("canary", "http"), refused + 1);
    assert!(bound.is_idle() && other.is_idle());
    assert!(gate.send(post(elsewhere, "x", "")).await.is_ok());
}

#[tokio::test]
async fn a_redirect_takes_the_secret_nowhere_else() {
    let (mut bound, mut other) = (Server::start().await, Server::start().await);
    let (gate, services, placeholder) = run(&[&bound.origin, &other.origin]);
    let redirect = |path: &str, target: &str| format!("{}{path}?{target}", bound.origin);
    let (back, away) = (redirect("/to", "/again"), redirect("/to", &other.origin));
    let leak = redirect("/leak", &format!("{}/", other.origin));
    let leak_here = redirect("/leak", "/again");

    gate.send(post(&back, &placeholder, &placeholder)).await.unwrap();
    assert!(bound.next().0.starts_with("POST /to") && bound.next().2 == SECRET);
    for (url, key, body) in [(&away, &*placeholder, ""), (&leak, "x", &placeholder)] {
        let error = gate.send(post(url, key, body)).await.unwrap_err();
        assert!(matches!(&error, Error::Denied(reason) if reason.contains("is not bound to")), "{error:?}");
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
    assert!(other.is_idle());
    assert_eq!(services.denied("canary", "http"), 2);
    let incoming = gate.send(post(&leak_here, "x", &placeholder)).await.unwrap();
    assert_eq!(incoming.url(), format!("{}/again?{placeholder}", bound.origin));
}

#[tokio::test]
async fn an_answer_that_could_hide_a_secret_is_refused() {
    let server = Server::start().await;
    let (gate, _, placeholder) = run(&[&server.origin]);
    let url = format!("{}/packed", server.origin);
    let error = gate.send(post(&url, &placeholder, "x")).await.unwrap_err();
    assert!(matches!(&error, Error::Failed(reason) if reason.contains("encoded")), "{error:?}");
}

/// A body of these pieces.
fn stream(pieces: Vec<String>, length: Option<u64>, alive: &Arc<()>) -> Stream {
    let frames = futures_util::stream::iter(pieces).map(|piece| Ok(Frame::data(Bytes::from(piece))));
    Stream { body: StreamBody::new(frames).boxed_unsync(), length, alive: Arc::downgrade(alive) }
}

#[tokio::test]
async fn a_streamed_body_gets_the_secret_across_the_borders_of_its_pieces() {
    let (mut bound, mut other) = (Server::start().await, Server::start().await);
    let (gate, services, placeholder) = run(&[&bound.origin, &other.origin]);
    let alive = Arc::new(());
    // At its end stands what a placeholder begins with.
    let text = format!("key={placeholder}&end={PREFIX}");
    let pieces: Vec<String> = text.chars().map(String::from).collect();
    let request = |server: &Server| Outgoing { follow: false, ..post(&server.origin, "x", "") };

    for length in [None, Some(text.len() as u64)] {
        let sent = gate.stream(request(&bound), stream(pieces.clone(), length, &alive)).await.unwrap();
        assert_eq!(sent.body().await.unwrap(), text);
        let (_, headers, body) = bound.next();
        assert_eq!(body, format!("key={SECRET}&end={PREFIX}"));
        let said = headers.get("content-length").map(|value| value.to_str().unwrap().parse::<usize>().unwrap());
        assert_eq!(said, length.map(|_| body.len()));
    }
    let error = gate.stream(request(&other), stream(pieces, None, &alive)).await.map(drop).unwrap_err();
    assert!(matches!(&error, Error::Denied(reason) if reason.contains("is not bound to")), "{error:?}");
    assert!(other.is_idle(), "the request broke off in the middle");
    assert_eq!(services.denied("canary", "http"), 1);
    // A body that is gathered first, as its length is said, is not sent for a run that is over.
    let text = text.clone();
    let left = stream(vec![text.clone()], Some(text.len() as u64), &alive);
    drop(alive);
    let error = gate.stream(request(&bound), left).await.map(drop).unwrap_err();
    assert!(matches!(&error, Error::Failed(reason) if reason.contains("the run ended")), "{error:?}");
    assert!(bound.is_idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_gets_no_placeholder_of_a_secret_that_it_was_not_granted() {
    let get = Import {
        interface: "soloist:job/secrets@0.1.0",
        text: "(type $error-type (variant (case \"denied\" string))) (export \"error\" (type $error (eq $error-type)))
               (export \"get\" (func (param \"name\" string) (result (result string (error $error)))))",
        functions: &[("get", "(param i32 i32 i32)")],
    };
    let body = format!(
        "(call $get (i32.const 512) (i32.const 3) (i32.const 32))
         (if (result i32) (i32.load8_u (i32.const 32)) (then {}) (else {}))",
        calls::failure("(i32.load (i32.const 40))", "(i32.load (i32.const 44))"),
        calls::summary("(i32.load (i32.const 36))", "(i32.load (i32.const 40))"),
    );
    let text = calls::component(&[get], "key", &body);
    let (_, services, _) = run(&["https://api.example.com"]);
    let engine = Engine::new().expect("an engine");
    let run_with = async |grants: &str| {
        let granted = Granted::new(toml::from_str(grants).expect("grants"), services.clone());
        let module = Module::load(&engine, text.as_bytes()).expect("it is a module");
        runtime::run(&module.prepare("canary", Arc::new(granted)).expect("it is granted"), guest::request()).await
    };
    let report = run_with("secrets = [\"key\"]").await;
    assert_eq!(report.outcome, Outcome::Ok, "{}", report.message);
    assert!(report.message.starts_with(PREFIX), "{}", report.message);
    assert_eq!(services.denied("canary", "secrets"), 0);
    let report = run_with("secrets = [\"other\"]").await;
    assert_eq!(report.outcome, Outcome::Error, "{}", report.message);
    let line = "write `secrets = [\"other\", \"key\"]` under `[job.canary.grants]`";
    assert!(report.message.contains(line), "{}", report.message);
    assert_eq!(services.denied("canary", "secrets"), 1);
}

#[test]
fn a_secret_that_is_missing_or_too_open_is_said_without_it() {
    for (table, reason) in [
        ("file = \"nothing-here\"\norigins = [\"https://a.example\"]", "nothing-here"),
        ("env = \"PATH_OF_NOBODY\"\norigins = [\"https://a.example\"]", "PATH_OF_NOBODY"),
        ("env = \"PATH\"\norigins = [\"http://a.example\"]", "everybody on the way"),
    ] {
        let config: ServicesConfig = toml::from_str(&format!("[secrets.key]\n{table}")).unwrap();
        let error = Services::new(&config, Path::new("/")).map(drop).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
