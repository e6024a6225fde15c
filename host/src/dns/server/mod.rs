//! An authoritative server for one zone, made for conditional updates: its prerequisites and changes are one step, and
//! what it acknowledged is on the disk.
//!
//! It speaks UDP and TCP, answers questions about its zone and refuses all others, takes dynamic updates (RFC 2136) and
//! gives the zone away (RFC 5936) to whoever signs with one of its keys (RFC 8945). It keeps the zone in a directory of its
//! own. It serves plain records: no wildcard, no delegation, no DNAME and nothing of DNSSEC, and refuses to add any.
//! An update that comes twice over UDP from one address, byte for byte, is made once and answered alike both times.
//!
//! Limits:
//! - a request has at most 4,096 bytes over UDP and 65,535 over TCP; an answer [`MAX_UDP_ANSWER`] over UDP, and what is
//!   longer is truncated (TC), to be asked for over TCP;
//! - a zone holds [`MAX_RECORDS`] records and [`MAX_ZONE_BYTES`], a name [`MAX_RECORDS_AT_NAME`] and
//!   [`MAX_BYTES_AT_NAME`]; an update that goes beyond is REFUSED, and so is one that rewrites more than 4 MiB;
//! - [`MAX_WAITING_UPDATES`] updates wait for their turn, one more is answered SERVFAIL;
//! - a TCP connection that asks nothing for [`IDLE_TIMEOUT`] is closed; there are at most [`MAX_TCP_CONNECTIONS`], and 32 fewer
//!   than the process may have files open: for one more the idlest is closed.

mod answer;
mod auth;
mod error;
mod handler;
mod journal;
mod limits;
mod reply;
mod store;
mod tcp;
mod transfer;
mod update;
mod wire;
mod zone;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hickory_proto::rr::rdata::opt::NSIDPayload;
use hickory_proto::rr::rdata::{A, AAAA, NS, SOA};
use hickory_proto::rr::{LowerName, Name, RData, RecordType};
use hickory_server::Server;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

pub use self::error::ServeError;
use self::handler::Handler;
use self::limits::RESERVED_DESCRIPTORS;
pub use self::limits::{
    IDLE_TIMEOUT, MAX_BYTES_AT_NAME, MAX_NSID_BYTES, MAX_RECORDS, MAX_RECORDS_AT_NAME, MAX_TCP_CONNECTIONS,
    MAX_UDP_ANSWER, MAX_WAITING_UPDATES, MAX_ZONE_BYTES,
};
use self::store::Store;
use self::zone::{Change, RrSet};
use crate::arbiter::tsig::Key;

/// How often a port that is free for both UDP and TCP is looked for.
const PORT_ATTEMPTS: usize = 32;

/// What a server needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen, over UDP and TCP. Port 0 is any free port: [`Running::addrs`] says which. `[::]` covers IPv4 too.
    pub listen: Vec<SocketAddr>,
    /// The zone.
    pub zone: Name,
    /// Who may update and transfer the zone; at least one key.
    pub keys: Vec<Key>,
    /// The directory that the zone is kept in; made if it is missing.
    pub data: PathBuf,
    /// What the server calls itself when asked (NSID, RFC 5001); at most [`MAX_NSID_BYTES`]. Its first address by default.
    pub nsid: Option<String>,
    /// By how many bytes the journal grows before it is written anew, as small as it can be.
    pub compact_at: u64,
}

impl Options {
    /// Options with defaults for all but the necessary.
    pub fn new(zone: Name, listen: Vec<SocketAddr>, keys: Vec<Key>, data: impl Into<PathBuf>) -> Self {
        Self { listen, zone, keys, data: data.into(), nsid: None, compact_at: 1024 * 1024 }
    }
}

/// A server that is running. Dropped, it stops; [`Running::stop`] also waits until it has.
pub struct Running {
    server: Server<Handler>,
    listeners: JoinSet<()>,
    store: Arc<Store>,
    addrs: Vec<SocketAddr>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("addrs", &self.addrs).finish_non_exhaustive()
    }
}

impl Running {
    /// Where it listens, over UDP and TCP, in the order of [`Options::listen`].
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// The serial of the zone as it is now.
    pub fn serial(&self) -> u32 {
        self.store.zone().soa().map_or(0, |(_, soa)| soa.serial)
    }

    /// Waits until the server fails, which it does not on its own. To be dropped when something else happens first.
    pub async fn failed(&mut self) -> ServeError {
        let reason = self.server.block_until_done().await.err();
        ServeError::Sockets(reason.map_or_else(|| "they were closed".to_owned(), |error| error.to_string()))
    }

    /// Stops: an update under way is finished, the ports and the directory are free when this returns.
    pub async fn stop(mut self) {
        if let Err(error) = self.server.shutdown_gracefully().await {
            tracing::warn!(%error, "a socket had failed");
        }
        while self.listeners.join_next().await.is_some() {}
        self.store.close().await;
    }
}

/// Starts a server. The zone is read from its directory, or made there with an SOA and a name server.
///
/// # Errors
/// The options make no sense, an address is taken, the directory is in use or damaged.
pub async fn start(options: Options) -> Result<Running, ServeError> {
    let Options { listen, mut zone, keys, data, nsid, compact_at } = options;
    if listen.is_empty() {
        return Err(ServeError::NoAddress);
    }
    zone.set_fqdn(true);
    let origin = LowerName::new(&zone);
    if origin.is_root() || origin.is_wildcard() {
        return Err(ServeError::Zone(zone.to_string()));
    }
    let ns = Name::from_labels(["ns"]).and_then(|ns| ns.append_domain(&origin));
    let ns = ns.map_err(|_| ServeError::Zone(zone.to_string()))?;
    let names: BTreeSet<&Name> = keys.iter().map(Key::name).collect();
    if keys.is_empty() || names.len() != keys.len() {
        return Err(ServeError::Keys(keys.len()));
    }
    let mut bound = Vec::with_capacity(listen.len());
    for addr in listen {
        bound.push(bind(addr).await?);
    }
    let addrs: Vec<SocketAddr> = bound.iter().map(|(addr, ..)| *addr).collect();
    let nsid = nsid.unwrap_or_else(|| addrs[0].to_string());
    let nsid = NSIDPayload::new(nsid.as_bytes())
        .ok()
        .filter(|_| nsid.len() <= MAX_NSID_BYTES)
        .ok_or(ServeError::Nsid(nsid.len()))?;

    let opening = {
        let (origin, addrs) = (origin.clone(), addrs.clone());
        tokio::task::spawn_blocking(move || {
            Store::open(&data, &origin, compact_at, || fresh_zone(&origin, &ns, &addrs))
        })
    };
    let opened = opening.await.map_err(|error| ServeError::Sockets(error.to_string()))?;
    let store = Arc::new(opened?);

    let handler = Handler { store: Arc::clone(&store), origin, keys, nsid, complained: Arc::default() };
    let mut server = Server::new(handler.clone());
    let (stop, mut listeners) = (server.shutdown_token().clone(), JoinSet::new());
    let limit = (tcp::limit() / bound.len()).max(1);
    for (_, udp, listener) in bound {
        server.register_socket(udp);
        listeners.spawn(tcp::serve(listener, handler.clone(), limit, stop.clone()));
    }
    Ok(Running { server, listeners, store, addrs })
}

/// One port for both protocols.
async fn bind(addr: SocketAddr) -> Result<(SocketAddr, UdpSocket, TcpListener), ServeError> {
    let failed = |protocol| move |error| ServeError::Listen { addr, protocol, error };
    let mut attempts = PORT_ATTEMPTS;
    loop {
        let tcp = TcpListener::bind(addr).await.map_err(failed("TCP"))?;
        let real = tcp.local_addr().map_err(failed("TCP"))?;
        match UdpSocket::bind(real).await {
            Ok(udp) => return Ok((real, udp, tcp)),
            // The port that the system chose may be taken by somebody's UDP socket.
            Err(_) if addr.port() == 0 && attempts > 0 => attempts -= 1,
            Err(error) => return Err(failed("UDP")(error)),
        }
    }
}

/// What a new zone holds. The serial begins at the time, so that a zone which was lost and made again goes on rising.
fn fresh_zone(origin: &LowerName, ns: &Name, addrs: &[SocketAddr]) -> Vec<Change> {
    const HOUR: u32 = 3600;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // The lower 32 bits: serials wrap.
    let serial = u32::try_from(now & u64::from(u32::MAX)).unwrap_or(1);
    let contact = Name::from_labels(["hostmaster"]).and_then(|name| name.append_domain(origin));
    let soa = SOA::new(ns.clone(), contact.unwrap_or_else(|_| ns.clone()), serial, 3600, 600, 604_800, 5);
    let apex = |rtype, ttl, data| change(origin.clone(), rtype, ttl, vec![data]);
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) =
        addrs.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()).partition(IpAddr::is_ipv4);
    let address = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    };
    let host =
        |rtype, ips: Vec<IpAddr>| change(LowerName::new(ns), rtype, HOUR, ips.into_iter().map(address).collect());
    let all = [
        apex(RecordType::SOA, HOUR, RData::SOA(soa)),
        apex(RecordType::NS, HOUR, RData::NS(NS(ns.clone()))),
        host(RecordType::A, v4),
        host(RecordType::AAAA, v6),
    ];
    all.into_iter().flatten().collect()
}

fn change(name: LowerName, rtype: RecordType, ttl: u32, records: Vec<RData>) -> Option<Change> {
    let mut set = RrSet::new(ttl);
    for data in records {
        set.insert(wire::canonical(&data)?, data);
    }
    (!set.is_empty()).then(|| Change { name, rtype, set: Some(Arc::new(set)) })
}
