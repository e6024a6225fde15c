//! The certificates that an origin presents are shown as they are, expired ones too, through the gate of a job's requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use soloist::capability::http::{Clients, Error, Gate, MAX_AT_ONCE, MAX_REQUESTS, Outgoing};
use soloist::capability::slack::SlackConfig;
use soloist::capability::{Grants, Services};
use soloist::runtime::{Facts, Lease, Request};
use soloist_tests::guest;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Valid from 2020 to 2021, for `expired.example.test`. `tls/README.md` says how it was made.
const CERTIFICATE: &[u8] = include_bytes!("tls/expired.pem");
const KEY: &[u8] = include_bytes!("tls/expired.key");

/// A TLS server that shakes hands and says no more.
struct Server {
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn der() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate")
}

impl Server {
    async fn start() -> Self {
        let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![der()], key)
            .expect("the key fits");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move { drop(acceptor.accept(stream).await) });
            }
        });
        Self { port, task }
    }

    fn origin(&self) -> String {
        format!("https://expired.example.test:{}", self.port)
    }
}

/// Every name stands for this address.
struct Names(SocketAddr);

impl Resolve for Names {
    fn resolve(&self, _: Name) -> Resolving {
        let address = self.0;
        Box::pin(async move { Ok(Box::new(std::iter::once(address)) as Addrs) })
    }
}

fn gate(address: &str, grants: &str, request: &Request) -> (Gate, Services) {
    let grants: Grants = toml::from_str(grants).unwrap_or_else(|error| panic!("{grants}: {error}"));
    let names: Arc<dyn Resolve> = Arc::new(Names(format!("{address}:0").parse().expect("an address")));
    let clients = Clients::with_names(&[], &names).expect("clients");
    let slack = SlackConfig::default().resolve(std::path::Path::new("")).expect("no secrets");
    let services = Services::with_clients(clients, slack);
    (Gate::new(grants.http.expect("a grant"), services.clone(), Arc::new(Facts::new(request))), services)
}

#[tokio::test]
async fn an_expired_certificate_is_shown_and_still_not_trusted() {
    let server = Server::start().await;
    let (gate, _) = gate(
        "127.0.0.1",
        &format!("http = [{{ origin = \"{}\", private = true }}]", server.origin()),
        &guest::request(),
    );
    let chain = gate.certificates(&server.origin(), None).await.unwrap();
    assert_eq!(chain, [der().to_vec()]);
    let request = Outgoing {
        method: Method::GET,
        url: Url::parse(&server.origin()).unwrap(),
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
        timeout: None,
        follow: true,
    };
    let error = gate.send(request).await.map(drop).unwrap_err();
    assert!(matches!(&error, Error::Failed(reason) if reason.contains("certificate")), "{error:?}");
}

#[tokio::test]
async fn an_address_has_certificates_too() {
    let server = Server::start().await;
    let origin = format!("https://127.0.0.1:{}", server.port);
    let (gate, _) = gate("127.0.0.1", &format!("http = [\"{origin}\"]"), &guest::request());
    assert_eq!(gate.certificates(&origin, None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_gate_stands_before_certificates_as_before_requests() {
    let server = Server::start().await;
    let origin = server.origin();
    let grant = format!("http = [\"{origin}\"]");
    let (plain, services) = gate("127.0.0.1", &grant, &guest::request());
    let denied = |result: Result<_, Error>| assert!(matches!(&result, Err(Error::Denied(_))), "{result:?}");
    denied(plain.certificates(&origin, None).await);
    denied(plain.certificates(&format!("https://127.0.0.1:{}", server.port), None).await);
    denied(gate("169.254.169.254", &grant, &guest::request()).0.certificates(&origin, None).await);
    assert_eq!(services.denied("canary", "http"), 2);
    for odd in
        ["http://expired.example.test", "https://expired.example.test/path", "expired.example.test", "https://a:b@x"]
    {
        let error = plain.certificates(odd, None).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid(_)), "{odd}: {error:?}");
    }

    let private = format!("http = [{{ origin = \"{origin}\", private = true }}]");
    let lease = Lease::unlimited();
    let (counted, _) = gate("127.0.0.1", &private, &Request { lease: lease.clone(), ..guest::request() });
    for _ in 0..MAX_REQUESTS {
        counted.certificates(&origin, None).await.unwrap();
    }
    denied(counted.certificates(&origin, None).await);
    let (unleased, _) = gate("127.0.0.1", &private, &Request { lease: lease.clone(), ..guest::request() });
    lease.revoke();
    assert!(matches!(unleased.certificates(&origin, None).await, Err(Error::Lost(_))));
}

#[tokio::test]
async fn certificates_are_asked_for_by_as_many_at_once_as_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    let (gate, _) = gate("127.0.0.1", &format!("http = [\"{origin}\"]"), &guest::request());
    let gate = Arc::new(gate);
    let asking: Vec<_> = (0..2 * MAX_AT_ONCE)
        .map(|_| {
            let (gate, origin) = (Arc::clone(&gate), origin.clone());
            tokio::spawn(async move { gate.certificates(&origin, None).await })
        })
        .collect();
    let mut held = Vec::new();
    for _ in 0..MAX_AT_ONCE {
        held.push(tokio::time::timeout(Duration::from_secs(8), listener.accept()).await.expect("a connection"));
    }
    let one_more = tokio::time::timeout(Duration::from_millis(300), listener.accept()).await;
    assert!(one_more.is_err(), "{one_more:?}");
    asking.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_server_that_shakes_no_hands_is_left_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    let (gate, _) = gate("127.0.0.1", &format!("http = [\"{origin}\"]"), &guest::request());
    let late = gate.certificates(&origin, Some(Duration::from_millis(200))).await;
    assert_eq!(late, Err(Error::Timeout));
    drop(listener);
    assert!(matches!(gate.certificates(&origin, None).await, Err(Error::Failed(_))));
}
