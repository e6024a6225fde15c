//! The gate of a job's requests, against real servers on loopback: what is granted goes through, and nothing else does.

mod module;
mod server;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;
use http::Method;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use soloist::capability::http::{Clients, Error, Gate, MAX_AT_ONCE, MAX_REQUESTS, MAX_RESPONSE_BODY, Outgoing};
use soloist::capability::slack::SlackConfig;
use soloist::capability::{Grants, Services};
use soloist::runtime::{Facts, Lease, Request as RunRequest};
use soloist_tests::guest;

use server::Server;

fn gate_with(grants: &str, facts: Facts) -> (Gate, Services) {
    let grants: Grants = toml::from_str(grants).unwrap_or_else(|error| panic!("{grants}: {error}"));
    let services = guest::services();
    (Gate::new(grants.http.expect("a grant"), services.clone(), Arc::new(facts)), services)
}

fn gate(origins: &[&str]) -> Gate {
    let origins: Vec<String> = origins.iter().map(|origin| format!("\"{origin}\"")).collect();
    gate_with(&format!("http = [{}]", origins.join(", ")), Facts::new(&guest::request())).0
}

fn get(url: &str) -> Outgoing {
    Outgoing {
        method: Method::GET,
        url: Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}")),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: None,
        follow: true,
    }
}

async fn fetch(gate: &Gate, request: Outgoing) -> Result<(u16, Bytes), Error> {
    let incoming = gate.send(request).await?;
    let status = incoming.status().as_u16();
    Ok((status, incoming.body().await?))
}

#[tokio::test]
async fn a_granted_origin_is_reached() {
    let server = Server::start().await;
    let gate = gate(&[&server.url("")]);
    assert_eq!(fetch(&gate, get(&server.url("/"))).await.unwrap(), (200, Bytes::from("hello")));
    assert_eq!(fetch(&gate, get(&server.url("/none"))).await.unwrap().0, 404);
    let post = Outgoing { method: Method::POST, body: Bytes::from("ping"), ..get(&server.url("/echo")) };
    assert_eq!(fetch(&gate, post).await.unwrap(), (200, Bytes::from("ping")));
    let (_, headers, _) = &server.seen()[0];
    assert_eq!(headers["host"], server.address.to_string());
    assert!(headers["user-agent"].to_str().unwrap().starts_with("soloist/"));
}

#[tokio::test]
async fn what_is_not_granted_is_never_contacted() {
    let (granted, other) = (Server::start().await, Server::start().await);
    let (gate, services) = gate_with(&format!("http = [\"{}\"]", granted.url("")), Facts::new(&guest::request()));
    let same_port = format!("http://localhost:{}/", granted.address.port());
    for url in [other.url("/"), same_port, "http://169.254.169.254/latest/meta-data/".to_owned()] {
        let error = fetch(&gate, get(&url)).await.unwrap_err();
        let Error::Denied(reason) = &error else { panic!("{url}: {error:?}") };
        let origin = Url::parse(&url).unwrap().origin().ascii_serialization();
        assert!(reason.contains(&format!("job `canary` was not granted `{origin}`")), "{reason}");
        assert!(reason.contains("under `[job.canary.grants]`"), "{reason}");
    }
    assert_eq!(services.denied("canary", "http"), 3);
    assert!(other.seen().is_empty() && granted.seen().is_empty());
}

#[tokio::test]
async fn a_method_that_is_not_granted_is_denied() {
    let server = Server::start().await;
    let grants = format!("http = [{{ origin = \"{}\", methods = [\"GET\"] }}]", server.url(""));
    let (gate, _) = gate_with(&grants, Facts::new(&guest::request()));
    assert!(fetch(&gate, get(&server.url("/"))).await.is_ok());
    let post = Outgoing { method: Method::POST, ..get(&server.url("/echo")) };
    assert!(matches!(fetch(&gate, post).await, Err(Error::Denied(_))));
    assert_eq!(server.lines(), ["GET /"]);
}

/// Every name stands for this address.
struct Names(IpAddr);

impl Resolve for Names {
    fn resolve(&self, _: Name) -> Resolving {
        let address = SocketAddr::new(self.0, 0);
        Box::pin(async move { Ok(Box::new(std::iter::once(address)) as Addrs) })
    }
}

fn gate_where_names_are(address: &str, grants: &str) -> Gate {
    let grants: Grants = toml::from_str(grants).unwrap_or_else(|error| panic!("{grants}: {error}"));
    let names: Arc<dyn Resolve> = Arc::new(Names(address.parse().expect("an address")));
    let clients = Clients::with_names(&[], &names).expect("clients");
    let slack = SlackConfig::default().resolve(std::path::Path::new("")).expect("no secrets");
    let services = Services::with_clients(clients, slack);
    Gate::new(grants.http.expect("a grant"), services, Arc::new(Facts::new(&guest::request())))
}

#[tokio::test]
async fn a_name_for_a_private_address_needs_the_grant_that_says_so() {
    let server = Server::start().await;
    let origin = format!("http://api.example.com:{}", server.address.port());
    let plain = format!("http = [\"{origin}\"]");
    let private = format!("http = [{{ origin = \"{origin}\", private = true }}]");

    let error = fetch(&gate_where_names_are("127.0.0.1", &plain), get(&origin)).await.unwrap_err();
    let Error::Denied(reason) = &error else { panic!("{error:?}") };
    assert!(reason.contains(&format!("{{ origin = \"{origin}\", private = true }}")), "{reason}");
    assert!(!reason.contains("127.0.0.1"), "the job is not told the address: {reason}");
    assert!(server.seen().is_empty());

    assert_eq!(fetch(&gate_where_names_are("127.0.0.1", &private), get(&origin)).await.unwrap().0, 200);
    assert_eq!(fetch(&gate_where_names_are("::ffff:127.0.0.1", &private), get(&origin)).await.unwrap().0, 200);
    // No grant for a name reaches these.
    for never in ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "100.100.100.200", "0.0.0.0", "224.0.0.1"] {
        for grants in [&plain, &private] {
            let error = fetch(&gate_where_names_are(never, grants), get(&origin)).await.unwrap_err();
            assert!(matches!(error, Error::Denied(_)), "{never}: {error:?}");
        }
    }
}

#[tokio::test]
async fn localhost_is_reached_where_it_is_granted_by_name() {
    let server = Server::start().await;
    let url = format!("http://localhost:{}", server.address.port());
    assert_eq!(fetch(&gate(&[&url]), get(&url)).await.unwrap().0, 200);
    // Whatever else it may stand for.
    for elsewhere in ["10.0.0.1", "1.1.1.1", "169.254.169.254"] {
        let error =
            fetch(&gate_where_names_are(elsewhere, &format!("http = [\"{url}\"]")), get(&url)).await.unwrap_err();
        assert!(matches!(error, Error::Denied(_)), "{elsewhere}: {error:?}");
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_a_request_like_any_other() {
    let (granted, other) = (Server::start().await, Server::start().await);
    let gate = gate(&[&granted.url("")]);
    for target in [other.url("/"), "http://169.254.169.254/".to_owned(), "http://[::1]:1/".to_owned()] {
        let error = fetch(&gate, get(&granted.url(&format!("/to/302?{target}")))).await.unwrap_err();
        assert!(
            matches!(&error, Error::Denied(reason) if reason.contains("was not granted `http://")),
            "{target}: {error:?}"
        );
    }
    let error = fetch(&gate, get(&granted.url("/to/302?file:///etc/passwd"))).await.unwrap_err();
    assert!(matches!(error, Error::Failed(_)), "{error:?}");
    assert!(other.seen().is_empty());
    assert_eq!(fetch(&gate, get(&granted.url("/to/302?/echo"))).await.unwrap().0, 200);
}

#[tokio::test]
async fn redirects_end() {
    let server = Server::start().await;
    let error = fetch(&gate(&[&server.url("")]), get(&server.url("/loop"))).await.unwrap_err();
    assert_eq!(error, Error::Failed("there are more than 5 redirects".to_owned()));
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn a_redirect_is_for_the_module_to_see_where_it_follows_itself() {
    let server = Server::start().await;
    let request = Outgoing { follow: false, ..get(&server.url("/to/302?/")) };
    assert_eq!(fetch(&gate(&[&server.url("")]), request).await.unwrap().0, 302);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn method_body_and_credentials_follow_a_redirect_as_the_standard_says() {
    let (first, second) = (Server::start().await, Server::start().await);
    let gate = gate(&[&first.url(""), &second.url("")]);
    let mut headers = HeaderMap::new();
    for (name, value) in
        [("authorization", "Bearer x"), ("cookie", "a=b"), ("content-type", "text/plain"), ("x-own", "1")]
    {
        headers.insert(name, value.parse().unwrap());
    }
    let post = |path: String| Outgoing {
        method: Method::POST,
        body: Bytes::from("ping"),
        headers: headers.clone(),
        ..get(&first.url(&path))
    };

    fetch(&gate, post("/to/307?/echo".to_owned())).await.unwrap();
    let (line, seen, body) = first.seen().pop().unwrap();
    assert_eq!((line.as_str(), body.as_ref()), ("POST /echo", &b"ping"[..]));
    assert!(seen.contains_key("authorization") && seen.contains_key("cookie"), "the same origin keeps them");

    fetch(&gate, post(format!("/to/308?{}", second.url("/echo")))).await.unwrap();
    let (line, seen, body) = second.seen().pop().unwrap();
    assert_eq!((line.as_str(), body.as_ref()), ("POST /echo", &b"ping"[..]));
    assert!(!seen.contains_key("authorization") && !seen.contains_key("cookie"), "another origin never sees them");
    assert!(seen.contains_key("content-type") && seen.contains_key("x-own"));

    fetch(&gate, post("/to/303?/echo".to_owned())).await.unwrap();
    let (line, seen, body) = first.seen().pop().unwrap();
    assert_eq!((line.as_str(), body.as_ref()), ("GET /echo", &b""[..]));
    assert!(!seen.contains_key("content-type") && seen.contains_key("x-own"));
}

#[tokio::test]
async fn bodies_and_headers_are_bounded() {
    let server = Server::start().await;
    let gate = gate(&[&server.url("")]);
    let large = Outgoing { method: Method::POST, body: vec![0; (1 << 20) + 1].into(), ..get(&server.url("/echo")) };
    assert!(matches!(fetch(&gate, large).await, Err(Error::TooLarge(_))));
    assert!(server.seen().is_empty(), "nothing of it is sent");
    let fits = Outgoing { method: Method::POST, body: vec![0; 1 << 20].into(), ..get(&server.url("/echo")) };
    assert_eq!(fetch(&gate, fits).await.unwrap().1.len(), 1 << 20);
    let endless = fetch(&gate, get(&server.url("/endless"))).await.unwrap_err();
    assert_eq!(endless, Error::TooLarge(format!("the response's body has more than {MAX_RESPONSE_BODY} bytes")));
    assert!(matches!(fetch(&gate, get(&server.url("/headers"))).await, Err(Error::TooLarge(_))));
}

#[tokio::test]
async fn a_slow_server_is_left_in_time() {
    let server = Server::start().await;
    // Before it says anything, and in the middle of what it says.
    for path in ["/slow", "/stuck"] {
        let asked = Outgoing { timeout: Some(Duration::from_millis(500)), ..get(&server.url(path)) };
        let gate = gate(&[&server.url("")]);
        let left = tokio::time::timeout(Duration::from_secs(60), fetch(&gate, asked)).await;
        assert_eq!(left.expect("it is left"), Err(Error::Timeout), "{path}");
    }
    // The run's own end is sooner than what the job asks for.
    let facts = Facts::new(&RunRequest { deadline: Duration::from_millis(100), ..guest::request() });
    let (gate, _) = gate_with(&format!("http = [\"{}\"]", server.url("")), facts);
    let asked = Outgoing { timeout: Some(Duration::from_mins(10)), ..get(&server.url("/slow")) };
    assert_eq!(fetch(&gate, asked).await.unwrap_err(), Error::Timeout);
}

#[tokio::test]
async fn requests_are_bounded_in_number() {
    let server = Server::start().await;
    let gate = gate(&[&server.url("")]);
    for _ in 0..MAX_REQUESTS {
        fetch(&gate, get(&server.url("/"))).await.unwrap();
    }
    assert!(matches!(fetch(&gate, get(&server.url("/"))).await, Err(Error::Denied(_))));
    assert_eq!(server.seen().len(), MAX_REQUESTS as usize);
}

#[tokio::test]
async fn a_redirect_that_is_followed_is_one_of_the_requests() {
    let server = Server::start().await;
    let gate = gate(&[&server.url("")]);
    for _ in 0..MAX_REQUESTS / 2 {
        fetch(&gate, get(&server.url("/to/302?/"))).await.unwrap();
    }
    assert!(matches!(fetch(&gate, get(&server.url("/"))).await, Err(Error::Denied(_))));
    assert_eq!(server.seen().len(), MAX_REQUESTS as usize);
}

#[tokio::test]
async fn requests_are_bounded_at_once_until_they_are_read() {
    let server = Server::start().await;
    let gate = gate(&[&server.url("")]);
    let mut held = Vec::new();
    for _ in 0..MAX_AT_ONCE {
        held.push(gate.send(get(&server.url("/wait"))).await.unwrap());
    }
    let one_more = Outgoing { timeout: Some(Duration::from_millis(100)), ..get(&server.url("/wait")) };
    assert_eq!(gate.send(one_more).await.map(|_| ()).unwrap_err(), Error::Timeout);
    assert_eq!(server.seen.open.load(Ordering::SeqCst), MAX_AT_ONCE);
    held.pop();
    assert!(gate.send(get(&server.url("/wait"))).await.is_ok());
}

#[tokio::test]
async fn what_is_malformed_is_invalid() {
    let server = Server::start().await;
    let gate = gate(&[&server.url("")]);
    let with_user = format!("http://user:geheim@{}/", server.address);
    for url in [with_user, server.url(&format!("/{}", "x".repeat(9000))), "ftp://example.com/".to_owned()] {
        let error = fetch(&gate, get(&url)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        assert!(!error.to_string().contains("geheim"));
    }
    let connect = Outgoing { method: Method::CONNECT, ..get(&server.url("/")) };
    assert!(matches!(fetch(&gate, connect).await, Err(Error::Invalid(_))));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_request_without_a_lease_is_not_sent() {
    let server = Server::start().await;
    let lease = Lease::unlimited();
    let facts = Facts::new(&RunRequest { lease: lease.clone(), ..guest::request() });
    let (gate, _) = gate_with(&format!("http = [\"{}\"]", server.url("")), facts);
    lease.revoke();
    assert!(matches!(fetch(&gate, get(&server.url("/"))).await, Err(Error::Lost(_))));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = fetch(&gate(&[&origin]), get(&origin)).await.unwrap_err();
    assert!(matches!(&error, Error::Failed(reason) if reason.contains("Connection refused")), "{error:?}");
}
