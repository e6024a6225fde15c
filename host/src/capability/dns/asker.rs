//! One run's questions: held against the grant, counted, bounded in time, each with a reply of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use hickory_net::NetError;
use hickory_proto::op::DnsResponse;
use hickory_proto::rr::{Name, RecordType};

use super::grant::{Grant, Reach};
use super::server::Server;
use crate::arbiter::presentation::{code_text, data_text, is_meta, name_from, name_text, type_from, type_text};
use crate::capability::Services;
use crate::capability::address::{Place, place};
use crate::dns::exchange::{Question, exchange, nsid};
use crate::runtime::{Facts, LeaseLost, clean};

/// The most questions of a run, one for each server.
pub const MAX_QUESTIONS: usize = 1000;
/// The most questions under way at once.
pub const MAX_AT_ONCE: usize = 64;
/// The most servers that one call asks.
pub const MAX_SERVERS: usize = 256;
/// How long a server has where nothing else is asked for.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest that a server may have, and a lookup takes.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest reason that is passed on, in bytes.
const MAX_REASON: usize = 512;

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The response code: `NOERROR`, `NXDOMAIN`, ...
    pub rcode: String,
    /// Whether the server has authority for the name (AA).
    pub authoritative: bool,
    /// The answer section.
    pub records: Vec<Rr>,
    /// What the server calls itself (NSID), if it does.
    pub nsid: Option<String>,
}

/// One resource record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rr {
    /// The owner's name, in lower case, without the final dot.
    pub name: String,
    /// The type.
    pub rtype: String,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// The data in presentation form.
    pub data: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The run may no longer act.
    #[error(transparent)]
    Lost(#[from] LeaseLost),
    /// The grant does not allow it, or the run has asked enough.
    #[error("{0}")]
    Denied(String),
    /// The name, the type or the server is none.
    #[error("{0}")]
    Invalid(String),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The server could not be found or reached, or its answer makes no sense.
    #[error("{0}")]
    Failed(String),
}

/// One server's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The server, as it was asked for.
    pub server: String,
    /// What it said.
    pub answer: Result<Answer, Error>,
    /// How long it took.
    pub elapsed: Duration,
}

/// What a run asks the DNS through.
#[derive(Debug)]
pub struct Asker {
    grant: Grant,
    services: Services,
    facts: Arc<Facts>,
    asked: AtomicUsize,
}

impl Asker {
    /// The asker of one run.
    pub const fn new(grant: Grant, services: Services, facts: Arc<Facts>) -> Self {
        Self { grant, services, facts, asked: AtomicUsize::new(0) }
    }

    /// Asks the system's resolver.
    ///
    /// # Errors
    /// It is not granted, is no question, or there is no answer.
    pub async fn lookup(&self, name: &str, rtype: &str) -> Result<Answer, Error> {
        let question = self.question(name, rtype, true)?;
        self.resolve(&question).await.map(|answer| read(&answer))
    }

    /// Asks servers directly, all at once; the replies are in the order of the servers.
    ///
    /// # Errors
    /// The lease is lost.
    pub async fn ask(
        &self,
        name: &str,
        rtype: &str,
        servers: &[String],
        timeout: Option<Duration>,
    ) -> Result<Vec<Reply>, LeaseLost> {
        let limit = timeout.unwrap_or(DEFAULT_TIMEOUT).min(MAX_TIMEOUT);
        let question = self.question(name, rtype, false).and_then(|question| match servers.len() {
            0..=MAX_SERVERS => Ok(question),
            many => Err(Error::Invalid(format!("{many} servers: at most {MAX_SERVERS} are asked at once"))),
        });
        let each: Vec<BoxFuture<'_, Reply>> =
            servers.iter().map(|server| self.reply(&question, server, limit).boxed()).collect();
        let replies: Vec<Reply> = futures_util::stream::iter(each).buffered(MAX_AT_ONCE).collect().await;
        // A reply of none of them is anybody's once the lease is lost.
        self.facts.check().map(|()| replies)
    }

    async fn reply(&self, question: &Result<Question, Error>, server: &str, limit: Duration) -> Reply {
        let begun = Instant::now();
        let answer = match question {
            Ok(question) => self.ask_one(question, server, limit).await,
            Err(error) => Err(error.clone()),
        };
        Reply { server: server.to_owned(), answer, elapsed: begun.elapsed() }
    }

    async fn ask_one(&self, question: &Question, server: &str, limit: Duration) -> Result<Answer, Error> {
        let server = Server::parse(server).map_err(Error::Invalid)?;
        let reach = self.grant.check_server(&self.facts.job, &server).map_err(|reason| self.denied(reason))?;
        let limit = limit.min(self.facts.remaining());
        let asking = async {
            let addr = self.address(&server, reach).await?;
            self.begin()?;
            exchange(question, addr, limit).await.map_err(|error| in_words(&error))
        };
        match tokio::time::timeout(limit, asking).await {
            Ok(answer) => answer.map(|answer| read(&answer)),
            Err(_) => Err(Error::Timeout),
        }
    }

    /// The question, if it is granted.
    fn question(&self, name: &str, rtype: &str, recursive: bool) -> Result<Question, Error> {
        let name = name_from(name).map_err(Error::Invalid)?;
        let rtype = type_from(rtype)
            .filter(|rtype| !is_meta(*rtype) || *rtype == RecordType::ANY)
            .ok_or_else(|| Error::Invalid(format!("`{}` is no type of records", clean(rtype, 40))))?;
        self.grant.check_name(&self.facts.job, &name).map_err(|reason| self.denied(reason))?;
        Ok(Question { name, rtype, recursive })
    }

    /// The address that a server is asked at: what was looked up is what is connected to.
    async fn address(&self, server: &Server, reach: Reach) -> Result<SocketAddr, Error> {
        let denied = |found: &[SocketAddr]| {
            let found: Vec<String> = found.iter().map(|addr| addr.ip().to_string()).collect();
            let why = self.grant.missing(&self.facts.job, server);
            self.denied(format!("`{server}` is at {}, which is no public address: {why}", found.join(", ")))
        };
        let found = match server {
            Server::Address(address) => vec![*address],
            Server::Named(name, port) => self.addresses(name, *port).await?,
        };
        found.iter().find(|addr| may_reach(**addr, reach)).copied().ok_or_else(|| denied(&found))
    }

    /// The addresses of a server's name, those of IPv4 first.
    async fn addresses(&self, name: &Name, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let mut found = Vec::new();
        for rtype in [RecordType::A, RecordType::AAAA] {
            let answer = self.resolve(&Question { name: name.clone(), rtype, recursive: true }).await?;
            found.extend(answer.answers.iter().filter_map(|record| record.data.ip_addr()));
            if !found.is_empty() {
                break;
            }
        }
        if found.is_empty() {
            return Err(Error::Failed(format!("the server `{}` has no address", name_text(name))));
        }
        Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    async fn resolve(&self, question: &Question) -> Result<DnsResponse, Error> {
        self.begin()?;
        let limit = MAX_TIMEOUT.min(self.facts.remaining());
        let answer = self.services.resolvers().ask(question, limit).await;
        self.facts.check()?;
        answer.map_err(|error| in_words(&error))
    }

    /// Right before a question: whether the run may still act, and has one left.
    fn begin(&self) -> Result<(), Error> {
        self.facts.check()?;
        if self.asked.fetch_add(1, Ordering::Relaxed) < MAX_QUESTIONS {
            return Ok(());
        }
        Err(self.denied(format!("the run has asked its {MAX_QUESTIONS} questions")))
    }

    fn denied(&self, reason: String) -> Error {
        self.services.count_denied(&self.facts.job, "dns");
        Error::Denied(reason)
    }
}

fn may_reach(addr: SocketAddr, reach: Reach) -> bool {
    match (reach, place(addr.ip())) {
        (Reach::Literal, _) | (_, Place::Public) | (Reach::Private, Place::Private | Place::Loopback) => true,
        (Reach::Public | Reach::Private, _) => false,
    }
}

/// What an answer says.
fn read(answer: &DnsResponse) -> Answer {
    let rr = |record: &hickory_proto::rr::Record| Rr {
        name: name_text(&record.name),
        rtype: type_text(record.record_type()),
        ttl: record.ttl,
        data: data_text(&record.data),
    };
    Answer {
        rcode: code_text(answer.response_code),
        authoritative: answer.authoritative,
        records: answer.answers.iter().map(rr).collect(),
        nsid: nsid(answer),
    }
}

/// An error of the network in words.
fn in_words(error: &NetError) -> Error {
    match error {
        NetError::Timeout => Error::Timeout,
        NetError::Io(error) => Error::Failed(clean(&format!("it cannot be reached: {error}"), MAX_REASON)),
        other => Error::Failed(clean(&format!("its answer cannot be used: {other}"), MAX_REASON)),
    }
}
