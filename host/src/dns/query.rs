//! Direct questions to a zone's own servers: uncached, not recursive, many at once, each with a deadline.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hickory_net::NetError;
use hickory_proto::op::{DnsResponse, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_resolver::TokioResolver;

use super::exchange::{Question, exchange_either_way, nsid};
use crate::arbiter::memory::revision;
use crate::round::Observation;

/// The deadline of one server's answer, where nothing else is asked for.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// The most servers that [`authoritative_servers`] returns; a zone with more is asked at these only.
pub const MAX_SERVERS: usize = 32;

/// How long looking for a zone's servers may take in all.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(15);

/// A server that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name, where it was found by one.
    pub name: Option<Name>,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.addr),
            None => write!(f, "{}", self.addr),
        }
    }
}

/// What came of asking one server.
#[derive(Debug)]
pub struct Answer {
    /// Which one.
    pub server: Server,
    /// How long it took, to the answer or to giving up.
    pub elapsed: Duration,
    /// What it has, or why that is not known.
    pub result: Result<Seen, QueryError>,
}

/// What a server has at the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The TXT records, or their absence.
    pub observation: Observation,
    /// Whether the server says that it speaks for the zone (AA).
    pub authoritative: bool,
    /// For how long others may keep the records, in seconds; none where there is no record.
    pub ttl: Option<u32>,
    /// What the server calls itself (NSID, RFC 5001), if it does.
    pub nsid: Option<String>,
}

/// Why a server's records are not known, or a zone's servers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No answer in time.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// The server cannot be reached.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It answers that it will not or cannot.
    #[error("{0}")]
    Refused(String),
    /// Its answer makes no sense for a job's record.
    #[error("{0}")]
    Nonsense(String),
    /// The system's resolver does not find the zone or its servers.
    #[error("the servers for `{record}` cannot be found: {reason}")]
    Discovery {
        /// The record whose zone was looked for.
        record: Name,
        /// What went wrong.
        reason: String,
    },
}

/// Asks every server for the TXT records at `record`, all at once; the answers come in the order of `servers`.
///
/// Each answer takes at most `timeout`, whatever the server does. Over UDP first, and over TCP where that is too short or
/// nothing comes.
pub async fn ask_all(record: &Name, servers: &[Server], timeout: Duration) -> Vec<Answer> {
    join_all(servers.iter().map(async |server| {
        let begun = Instant::now();
        let asked = tokio::time::timeout(timeout, ask(record, server.addr, timeout));
        let result = asked.await.unwrap_or(Err(QueryError::Timeout(timeout)));
        Answer { server: server.clone(), elapsed: begun.elapsed(), result }
    }))
    .await
}

async fn ask(record: &Name, addr: SocketAddr, timeout: Duration) -> Result<Seen, QueryError> {
    let mut name = record.clone();
    name.set_fqdn(true);
    let question = Question { name, rtype: RecordType::TXT, recursive: false };
    let answer = exchange_either_way(&question, addr, timeout).await.map_err(|error| in_words(&error, timeout))?;
    read(&question.name, &answer)
}

/// An error of the network in words. Nothing of it is about a key: plain questions are not signed.
fn in_words(error: &NetError, timeout: Duration) -> QueryError {
    match error {
        NetError::Timeout => QueryError::Timeout(timeout),
        NetError::Io(error) => QueryError::Unreachable(error.to_string()),
        other => QueryError::Nonsense(format!("its answer cannot be read: {other}")),
    }
}

/// What an answer says about the TXT records at `name`.
fn read(name: &Name, answer: &DnsResponse) -> Result<Seen, QueryError> {
    match answer.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        ResponseCode::Refused => {
            return Err(QueryError::Refused(
                "it refuses the question (REFUSED): it does not serve the zone".to_owned(),
            ));
        }
        ResponseCode::ServFail => {
            let text = "it fails (SERVFAIL): the zone is not loaded, or the server is in trouble";
            return Err(QueryError::Refused(text.to_owned()));
        }
        other => return Err(QueryError::Refused(format!("it answers with an error: {other}"))),
    }
    let at_name = || answer.answers.iter().filter(|record| record.name == *name);
    if at_name().any(|record| record.record_type() == RecordType::CNAME) {
        return Err(QueryError::Nonsense(format!("`{name}` is an alias (CNAME), and a job's record cannot be one")));
    }
    let mut values = Vec::new();
    let mut ttl = None;
    for record in at_name() {
        if let RData::TXT(txt) = &record.data {
            values.push(txt.txt_data.concat());
            ttl = Some(ttl.map_or(record.ttl, |other: u32| other.min(record.ttl)));
        }
    }
    let authoritative = answer.authoritative;
    if values.is_empty() && !authoritative {
        return Err(QueryError::Refused(format!("it does not speak for `{name}` and points elsewhere")));
    }
    values.sort();
    let observation = Observation { revision: revision(&values), values };
    Ok(Seen { observation, authoritative, ttl, nsid: nsid(answer) })
}

/// Finds the zone that holds `record`, and every address of every server of it (port 53), with the system's resolver.
///
/// The first [`MAX_SERVERS`] only, each address once; within 15 s.
///
/// # Errors
/// The resolver finds no zone, or none of its servers' addresses.
pub async fn authoritative_servers(record: &Name) -> Result<(Name, Vec<Server>), QueryError> {
    let failed = |reason: String| QueryError::Discovery { record: record.clone(), reason };
    let resolver = TokioResolver::builder_tokio().and_then(hickory_resolver::ResolverBuilder::build);
    let resolver = resolver.map_err(|error| failed(format!("the system has no resolver: {error}")))?;
    servers_by(&resolver, record).await
}

/// The same with a given resolver.
///
/// # Errors
/// The resolver finds no zone, or none of its servers' addresses.
pub async fn servers_by(resolver: &TokioResolver, record: &Name) -> Result<(Name, Vec<Server>), QueryError> {
    let failed = |reason: String| QueryError::Discovery { record: record.clone(), reason };
    let late = || failed(format!("nothing within {}", humantime::format_duration(DISCOVERY_TIMEOUT)));
    let found = async {
        let (zone, names) = enclosing_zone(resolver, record).await.map_err(&failed)?;
        let servers = addresses(resolver, &names).await.map_err(|reason| failed(format!("zone `{zone}`: {reason}")))?;
        Ok((zone, servers))
    };
    tokio::time::timeout(DISCOVERY_TIMEOUT, found).await.unwrap_or_else(|_| Err(late()))
}

/// The nearest name, from the record's own upwards, that has name servers; and their names.
async fn enclosing_zone(resolver: &TokioResolver, record: &Name) -> Result<(Name, Vec<Name>), String> {
    let mut zone = record.to_lowercase();
    zone.set_fqdn(true);
    while !zone.is_root() {
        match resolver.lookup(zone.clone(), RecordType::NS).await {
            Ok(found) => {
                // An alias leads the resolver to another name's servers.
                let names = found
                    .answers()
                    .iter()
                    .filter(|record| record.name == zone)
                    .filter_map(|record| if let RData::NS(ns) = &record.data { Some(ns.0.clone()) } else { None });
                let names: Vec<Name> = names.collect();
                if !names.is_empty() {
                    return Ok((zone, names));
                }
            }
            Err(error) if error.is_no_records_found() => {}
            Err(error) => return Err(format!("asking for the name servers of `{zone}`: {error}")),
        }
        zone = zone.base_name();
    }
    Err("no name above it has name servers".to_owned())
}

async fn addresses(resolver: &TokioResolver, names: &[Name]) -> Result<Vec<Server>, String> {
    let lookups = names.iter().take(MAX_SERVERS).map(async |name| {
        let (v4, v6) =
            tokio::join!(resolver.lookup(name.clone(), RecordType::A), resolver.lookup(name.clone(), RecordType::AAAA));
        let records = [v4, v6].into_iter().flatten().flat_map(|found| found.answers().to_vec());
        let ips = records.filter_map(|record| record.data.ip_addr());
        ips.map(|ip| Server { name: Some(name.clone()), addr: SocketAddr::new(ip, 53) }).collect::<Vec<_>>()
    });
    let mut servers: Vec<Server> = Vec::new();
    for server in join_all(lookups).await.into_iter().flatten() {
        if servers.len() < MAX_SERVERS && !servers.iter().any(|other| other.addr == server.addr) {
            servers.push(server);
        }
    }
    if servers.is_empty() { Err("none of its name servers has an address".to_owned()) } else { Ok(servers) }
}
