//! The HTTP clients: one for each kind of place that a request may reach, so that no connection is used for another.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, Url, redirect};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::files;

use super::super::address::{Place, place};
use super::grant::literal;

/// The largest file of certificates that is read, in bytes.
const MAX_CA_FILE: u64 = 1 << 20;

/// How long a connection is kept for the next request. Short, as a server may close it in the moment of its use.
const KEEP: Duration = Duration::from_secs(10);

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// The most bytes of response header fields over HTTP/2; HTTP/1 is bounded by hyper, and both are checked again.
const MAX_HEADER_LIST: u32 = 64 * 1024;

/// The top-level table `[http]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HttpConfig {
    /// A PEM file of certificate authorities to trust beside those of the system, relative to the configuration's folder.
    pub ca_file: Option<PathBuf>,
}

/// Why there are no clients.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of certificates cannot be read.
    #[error("the file `{path}` with certificates cannot be read")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The file holds no certificates.
    #[error("the file `{path}` holds no certificates in PEM form")]
    Certificates {
        /// Which file.
        path: PathBuf,
    },
    /// The client cannot be made of them.
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

impl HttpConfig {
    /// The certificates that it names.
    ///
    /// # Errors
    /// The file cannot be read or holds none.
    pub fn resolve(&self, base: &Path) -> Result<Vec<Certificate>, ClientError> {
        let Some(file) = &self.ca_file else { return Ok(Vec::new()) };
        let path = base.join(file);
        let failed = |error| ClientError::File { path: path.clone(), error };
        let pem = files::read(&path, MAX_CA_FILE).map_err(failed)?;
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() { Err(ClientError::Certificates { path }) } else { Ok(certificates) }
    }
}

/// How far the host of a granted origin may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A name: public addresses only.
    Public,
    /// A name with `private = true`: private networks and this machine too.
    Private,
    /// `localhost`: this machine only.
    Loopback,
    /// An address, which the grant itself names: wherever it is.
    Literal,
}

impl Reach {
    /// Whether a name with this reach may stand for an address in that place.
    fn allows(self, place: Place) -> bool {
        match self {
            Self::Public => place == Place::Public,
            Self::Private => place != Place::Never,
            Self::Loopback => place == Place::Loopback,
            // An address is never looked up.
            Self::Literal => false,
        }
    }
}

/// The clients. They keep connections apart: one that was made for a grant with a wide reach is never used for another.
#[derive(Clone)]
pub struct Clients {
    public: Client,
    private: Client,
    loopback: Client,
    host: Client,
    extra: Vec<Certificate>,
    names: Arc<dyn Resolve>,
}

impl Clients {
    /// Makes the clients, which trust the system's certificate authorities and these.
    ///
    /// # Errors
    /// The certificates are unusable.
    pub fn new(extra: &[Certificate]) -> Result<Self, ClientError> {
        let system: Arc<dyn Resolve> = Arc::new(System);
        Self::with_names(extra, &system)
    }

    /// As [`Self::new`], with names looked up elsewhere than in the system's resolver.
    ///
    /// # Errors
    /// The certificates are unusable.
    pub fn with_names(extra: &[Certificate], names: &Arc<dyn Resolve>) -> Result<Self, ClientError> {
        let filtered = |reach| client(extra, Filter { reach, names: Arc::clone(names) });
        Ok(Self {
            public: filtered(Some(Reach::Public))?,
            private: filtered(Some(Reach::Private))?,
            loopback: filtered(Some(Reach::Loopback))?,
            host: filtered(None)?,
            extra: extra.to_vec(),
            names: Arc::clone(names),
        })
    }

    /// A client of another kind that trusts the same certificate authorities: `finish` sets all else and builds it.
    ///
    /// # Errors
    /// What `finish` says.
    pub fn another(&self, finish: impl Fn(ClientBuilder) -> reqwest::Result<Client>) -> reqwest::Result<Client> {
        // As in `client`: a bare container has no certificate authorities.
        finish(Client::builder().tls_certs_merge(self.extra.iter().cloned()))
            .or_else(|_| finish(Client::builder().tls_certs_only(self.extra.iter().cloned())))
    }

    /// The client for a job's request.
    pub(super) fn reaching(&self, reach: Reach) -> &Client {
        match reach {
            // A literal address is connected to without a look-up: any client does.
            Reach::Public | Reach::Literal => &self.public,
            Reach::Private => &self.private,
            Reach::Loopback => &self.loopback,
        }
    }

    /// Connects to the host of a job's URL, within its reach.
    ///
    /// # Errors
    /// The name cannot be looked up, stands for no address within reach ([`Unreachable`]), or nobody answers there.
    pub(super) async fn connect(&self, reach: Reach, url: &Url) -> Result<TcpStream, BoxError> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let addresses: Vec<SocketAddr> = if let Some(address) = literal(host) {
            vec![SocketAddr::new(address, port)]
        } else {
            let filter = Filter { reach: Some(reach), names: Arc::clone(&self.names) };
            let found = filter.resolve(host.parse::<Name>()?).await?;
            found.map(|address| SocketAddr::new(address.ip(), port)).collect()
        };
        let mut failed: BoxError = "the name has no address".into();
        for address in addresses {
            match timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = error.into(),
                Err(_) => failed = "the connection takes too long".into(),
            }
        }
        Err(failed)
    }

    /// The client for the host's own requests, to URLs from its configuration: no address is refused.
    pub(crate) fn host(&self) -> &Client {
        &self.host
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

/// An error of whatever kind.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn client(extra: &[Certificate], names: Filter) -> Result<Client, ClientError> {
    install_crypto();
    let names = Arc::new(names);
    let builder = || {
        Client::builder()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT)
            .pool_idle_timeout(KEEP)
            .http2_max_header_list_size(MAX_HEADER_LIST)
            .user_agent(concat!("soloist/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::clone(&names))
    };
    let with_system = builder().tls_certs_merge(extra.iter().cloned()).build();
    with_system.or_else(|error| {
        // A bare container has no certificate authorities. Plain HTTP and our own certificates still work there.
        tracing::warn!("the system's certificate authorities cannot be used, so https fails: {}", text(&error));
        builder().tls_certs_only(extra.iter().cloned()).build().map_err(|error| ClientError::Client(text(&error)))
    })
}

/// Makes ring the process's cryptography, once; whoever was first stays.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Refused where somebody else has installed one, which does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A client's error with its causes, without the URL, which may be a secret.
pub(crate) fn text(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        let part = error.to_string();
        // The client's own layer says only that there is another cause.
        if !text.contains(&part) && !part.starts_with("client error") {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        cause = error.source();
    }
    if text.is_empty() { "the request failed".to_owned() } else { crate::runtime::clean(&text, 512) }
}

/// A name stands for no address that the request may reach.
#[derive(Debug)]
pub(super) struct Unreachable {
    /// What it stands for instead.
    pub(super) addresses: Vec<SocketAddr>,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name stands for no address that the grant allows")
    }
}

impl std::error::Error for Unreachable {}

impl Unreachable {
    /// Finds it among the causes of an error.
    pub(super) fn of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }
}

/// The system's resolver.
struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// A resolver without the addresses that are out of reach. What it gives is what is connected to.
struct Filter {
    /// None for the host's own requests.
    reach: Option<Reach>,
    names: Arc<dyn Resolve>,
}

impl Resolve for Filter {
    fn resolve(&self, name: Name) -> Resolving {
        let resolving = self.names.resolve(name);
        let Some(reach) = self.reach else { return resolving };
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolving.await?.collect();
            let allowed: Vec<SocketAddr> =
                addresses.iter().copied().filter(|address| reach.allows(place(address.ip()))).collect();
            if allowed.is_empty() {
                return Err(Unreachable { addresses }.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reach_allows_its_places_only() {
        use Place::{Loopback, Never, Private, Public};
        for (reach, allowed) in [
            (Reach::Public, &[Public][..]),
            (Reach::Private, &[Public, Private, Loopback]),
            (Reach::Loopback, &[Loopback]),
            (Reach::Literal, &[]),
        ] {
            for place in [Public, Private, Loopback, Never] {
                assert_eq!(reach.allows(place), allowed.contains(&place), "{reach:?} {place:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_name_for_this_machine_is_out_of_public_reach() {
        let filter = |reach| Filter { reach, names: Arc::new(System) }.resolve("localhost".parse().unwrap());
        let error = filter(Some(Reach::Public)).await.map(|_| ()).unwrap_err();
        assert!(error.downcast_ref::<Unreachable>().is_some(), "{error}");
        assert!(filter(Some(Reach::Loopback)).await.is_ok());
        assert!(filter(None).await.is_ok());
    }

    /// Every name stands for all of these.
    struct Names(Vec<SocketAddr>);

    impl Resolve for Names {
        fn resolve(&self, _: Name) -> Resolving {
            let addresses = self.0.clone();
            Box::pin(async move { Ok(Box::new(addresses.into_iter()) as Addrs) })
        }
    }

    #[tokio::test]
    async fn of_several_addresses_those_out_of_reach_are_never_connected_to() {
        let all: Vec<SocketAddr> =
            ["10.0.0.1:0", "127.0.0.1:0", "1.1.1.1:0", "[fe80::1]:0"].map(|text| text.parse().unwrap()).into();
        for (reach, left) in [(Reach::Public, &all[2..3]), (Reach::Private, &all[..3]), (Reach::Loopback, &all[1..2])] {
            let filter = Filter { reach: Some(reach), names: Arc::new(Names(all.clone())) };
            let found = filter.resolve("a.example.com".parse().unwrap()).await.map_err(|error| error.to_string());
            assert_eq!(found.map(Iterator::collect::<Vec<_>>), Ok(left.to_vec()), "{reach:?}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), "no certificate").unwrap();
        let config = HttpConfig { ca_file: Some("ca.pem".into()) };
        assert!(matches!(config.resolve(folder.path()), Err(ClientError::Certificates { .. })));
        let missing = HttpConfig { ca_file: Some("none.pem".into()) };
        assert!(matches!(missing.resolve(folder.path()), Err(ClientError::File { .. })));
        assert!(HttpConfig::default().resolve(folder.path()).unwrap().is_empty());
    }
}
