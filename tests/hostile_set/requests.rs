//! Requests that lead where nobody granted: private addresses in every disguise, and answers that are traps.

use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::header;
use axum::routing::any;
use bytes::Bytes;
use http::{HeaderMap, Method};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use soloist::capability::http::{Clients, Error, Gate, MAX_RESPONSE_BODY, Outgoing};
use soloist::capability::slack::SlackConfig;
use soloist::capability::{Grants, Services};
use soloist::runtime::Facts;
use soloist_tests::guest;

/// A server on loopback that counts what reaches it, and closes each connection after its answer.
struct Server {
    port: u16,
    asked: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(packed: Bytes) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let answer = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let packed = packed.clone();
            async move { ([(header::CONTENT_ENCODING, "gzip"), (header::CONNECTION, "close")], packed) }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let router = Router::new().fallback(any(answer));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("the server runs") });
        Self { port, asked, task }
    }
}

/// Answers these addresses, one look-up after the other, and the last ones from then on.
struct Names(Mutex<Vec<Vec<IpAddr>>>);

impl Resolve for Names {
    fn resolve(&self, _: Name) -> Resolving {
        let mut answers = self.0.lock().expect("no test panicked here");
        let now = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        let addresses = now.into_iter().map(|address| SocketAddr::new(address, 0));
        Box::pin(async move { Ok(Box::new(addresses) as Addrs) })
    }
}

/// A gate where every name stands for these addresses, in turn.
fn gate(answers: &[&[&str]], grants: &str) -> (Gate, Services) {
    let parse = |text: &&str| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    let answers = answers.iter().map(|answer| answer.iter().map(parse).collect()).collect();
    let names: Arc<dyn Resolve> = Arc::new(Names(Mutex::new(answers)));
    let grants: Grants = toml::from_str(grants).unwrap_or_else(|error| panic!("{grants}: {error}"));
    let slack = SlackConfig::default().resolve(std::path::Path::new("")).expect("no secrets");
    let services = Services::with_clients(Clients::with_names(&[], &names).expect("clients"), slack);
    let facts = Arc::new(Facts::new(&guest::request()));
    (Gate::new(grants.http.expect("a grant"), services.clone(), facts), services)
}

async fn fetch(gate: &Gate, url: &str) -> Result<Bytes, Error> {
    let request = Outgoing {
        method: Method::GET,
        url: Url::parse(url).map_err(|error| Error::Invalid(error.to_string()))?,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: None,
        follow: true,
    };
    gate.send(request).await?.body().await
}

#[tokio::test]
async fn a_name_for_a_private_address_in_whatever_form_reaches_nothing() {
    let server = Server::start(Bytes::new()).await;
    let origin = format!("http://rebound.example.com:{}", server.port);
    let (grant, mut refused) = (format!("http = [\"{origin}\", \"http://*.example.com:{}\"]", server.port), 0);
    for address in [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.31.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "::1",
        "::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::127.0.0.1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "2001::1",
        "fe80::1",
        "fec0::1",
        "fd00:ec2::254",
        "fc00::1",
        "ff02::1",
    ] {
        let (gate, services) = gate(&[&[address]], &grant);
        for url in [&origin, &format!("http://deep.down.example.com:{}", server.port)] {
            let error = fetch(&gate, url).await.unwrap_err();
            assert!(matches!(&error, Error::Denied(reason) if !reason.contains(address)), "{address}: {error:?}");
            refused += 1;
        }
        assert_eq!(services.denied("canary", "http"), 2, "{address}");
    }
    assert_eq!((refused, server.asked.load(Ordering::SeqCst)), (50, 0));
}

#[tokio::test]
async fn a_private_address_by_number_in_whatever_form_reaches_nothing() {
    let server = Server::start(Bytes::new()).await;
    let port = server.port;
    // Whatever the name: no pattern of names covers a number.
    let grant =
        format!("http = [\"http://*.0.1:{port}\", \"http://*.example.com:{port}\", \"http://example.com:{port}\"]");
    let parsed: Result<Grants, _> = toml::from_str(&grant);
    assert!(parsed.is_err(), "a pattern of numbers is none of names");
    let grant = format!("http = [{{ origin = \"http://*.example.com:{port}\", private = true }}]");
    let (gate, services) = gate(&[&["127.0.0.1"]], &grant);
    let forms = [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7F.1",
        "017700000001",
        "0177.0.0.1",
        "0177.0x0.0.01",
        "%31%32%37.0.0.1",
        "１２７。０。０。１",
        "⑫7.0.0.1",
        "0",
        "[::1]",
        "[::]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "example.com.evil.test",
        "example.com",
    ];
    for form in forms {
        let error = fetch(&gate, &format!("http://{form}:{port}/")).await.unwrap_err();
        assert!(matches!(error, Error::Denied(_)), "{form}: {error:?}");
    }
    // What stands before an `@` is no host, and what is no URL goes nowhere.
    for odd in
        [format!("http://a.example.com:{port}@127.0.0.1:{port}/"), format!("http://a.example.com:{port}\\@127.0.0.1/x")]
    {
        let error = fetch(&gate, &odd).await;
        assert!(
            matches!(error, Err(Error::Denied(_) | Error::Invalid(_))) || server.asked.load(Ordering::SeqCst) == 1,
            "{odd}"
        );
        server.asked.store(0, Ordering::SeqCst);
    }
    assert!(services.denied("canary", "http") >= forms.len() as u64);
    assert!(fetch(&gate, &format!("http://a.example.com:{port}/")).await.is_ok(), "only the name is granted");
}

#[tokio::test]
async fn rebinding_gains_nothing() {
    let server = Server::start(Bytes::from_static(b"x")).await;
    let origin = format!("http://a.example.com:{}", server.port);
    let grant = format!("http = [{{ origin = \"{origin}\", private = true }}]");
    // The name stands for an allowed address at first, and then for one that no name reaches.
    let (rebound, services) = gate(&[&["127.0.0.1"], &["169.254.169.254"]], &grant);
    assert!(fetch(&rebound, &origin).await.is_ok());
    assert!(matches!(fetch(&rebound, &origin).await, Err(Error::Denied(_))));
    assert_eq!(services.denied("canary", "http"), 1);
    // Of several addresses, the others are connected to, and these never.
    let (mixed, _) = gate(&[&["169.254.169.254", "fe80::1", "127.0.0.1"]], &grant);
    assert!(fetch(&mixed, &origin).await.is_ok());
    assert_eq!(server.asked.load(Ordering::SeqCst), 2);
}

/// This many zeros, packed by gzip.
fn packed(megabytes: u32) -> Bytes {
    let script = format!("head -c {megabytes}M /dev/zero | gzip -9");
    let output = Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).output().expect("a shell");
    assert!(output.status.success() && output.stdout.starts_with(&[0x1f, 0x8b]));
    output.stdout.into()
}

#[tokio::test]
async fn a_zip_of_nothing_is_never_inflated() {
    // A hundred times the limit, in a hundredth of it.
    let bomb = tokio::task::spawn_blocking(|| packed(800)).await.unwrap();
    assert!(bomb.len() < MAX_RESPONSE_BODY);
    let server = Server::start(bomb.clone()).await;
    let origin = format!("http://a.example.com:{}", server.port);
    let (gate, _) = gate(&[&["127.0.0.1"]], &format!("http = [{{ origin = \"{origin}\", private = true }}]"));
    assert_eq!(fetch(&gate, &origin).await.unwrap(), bomb);
}
