//! Questions to the DNS, for the names that the job was granted: `dns = ["example.com", "*.example.com"]`.
//!
//! ```no_run
//! use std::time::Duration;
//! use soloist_sdk::{Failure, dns, log};
//!
//! fn watch() -> Result<(), Failure> {
//!     // The resolver of the agent's system, which may answer from its cache.
//!     let answer = dns::lookup("example.com", "MX")?;
//!     for record in &answer.records {
//!         log::info!("{} for {} s", record.data, record.ttl);
//!     }
//!     // Servers themselves, all at once.
//!     let replies = dns::Question::new("example.com", "SOA")
//!         .servers(["ns1.example.com", "192.0.2.1", "[2001:db8::1]:53"])
//!         .timeout(Duration::from_secs(1))
//!         .ask();
//!     for reply in replies {
//!         match reply.answer {
//!             Ok(answer) => log::info!("{}: {} in {:?}", reply.server, answer.rcode, reply.elapsed),
//!             Err(error) => log::warn!("{}: {error}", reply.server),
//!         }
//!     }
//!     Ok(())
//! }
//! ```

use std::fmt;
use std::time::Duration;

use crate::host::dns as host;

/// Asks the resolver of the agent's system for the records of a type at a name: `A`, `TXT`, `MX`, `TYPE65280`.
///
/// # Errors
/// There is no answer: see [`Error`]. `NXDOMAIN` is an answer.
pub fn lookup(name: &str, rtype: &str) -> Result<Answer, Error> {
    Ok(host::lookup(name, rtype)?.into())
}

/// A question that is being put together; [`Question::ask`] asks it.
#[derive(Debug, Clone)]
#[must_use = "a question does nothing until it is asked"]
pub struct Question {
    name: String,
    rtype: String,
    servers: Vec<String>,
    timeout: Option<Duration>,
}

impl Question {
    /// What are the records of this type at this name?
    pub fn new(name: impl Into<String>, rtype: impl Into<String>) -> Self {
        Self { name: name.into(), rtype: rtype.into(), servers: Vec::new(), timeout: None }
    }

    /// Asks this server too: `192.0.2.1`, `[2001:db8::1]:53`, `ns1.example.com`.
    pub fn server(mut self, server: impl Into<String>) -> Self {
        self.servers.push(server.into());
        self
    }

    /// Asks these servers too; at most 256.
    pub fn servers<S: Into<String>>(mut self, servers: impl IntoIterator<Item = S>) -> Self {
        self.servers.extend(servers.into_iter().map(Into::into));
        self
    }

    /// How long to wait for each server: 2 s by default, at most 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Asks all servers at once, and waits for each. The replies are in the order of the servers; one that fails leaves the
    /// others alone.
    pub fn ask(self) -> Vec<Reply> {
        let timeout = self.timeout.map(|timeout| u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        host::ask(&self.name, &self.rtype, &self.servers, timeout).into_iter().map(Into::into).collect()
    }
}

/// One resource record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The owner's name, in lower case, without the final dot.
    pub name: String,
    /// The type.
    pub rtype: String,
    /// Seconds it may be kept.
    pub ttl: u32,
    /// The data in presentation form (RFC 1035, section 5); of a TXT record the strings, joined and unquoted.
    pub data: String,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The response code: `NOERROR`, `NXDOMAIN`, `REFUSED`, ...
    pub rcode: String,
    /// Whether the server has authority for the name (AA).
    pub authoritative: bool,
    /// The answer section.
    pub records: Vec<Record>,
    /// Which of several machines behind one address answered (NSID, RFC 5001), where it says so.
    pub nsid: Option<String>,
}

impl Answer {
    /// The data of the records of a type.
    pub fn data<'a>(&'a self, rtype: &'a str) -> impl Iterator<Item = &'a str> {
        self.records.iter().filter(move |record| record.rtype.eq_ignore_ascii_case(rtype)).map(|record| &*record.data)
    }
}

/// One server's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The server, as it was asked for.
    pub server: String,
    /// What it said.
    pub answer: Result<Answer, Error>,
    /// How long it took, to the millisecond.
    pub elapsed: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The grants do not allow this question, or this server. The text names the grant that is missing.
    Denied(String),
    /// The name, the type or the server is none.
    Invalid(String),
    /// No answer in time.
    Timeout,
    /// The server could not be found or reached, or its answer makes no sense.
    Failed(String),
}

impl Error {
    /// Whether another attempt can help: what `?` goes by when it makes a [`Failure`](crate::Failure) of this.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Denied(_) | Self::Invalid(_) => false,
            Self::Timeout | Self::Failed(_) => true,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) => write!(f, "the grants do not allow it: {reason}"),
            Self::Invalid(reason) => write!(f, "the question is malformed: {reason}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Failed(reason) => write!(f, "no answer: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Denied(reason) => Self::Denied(reason),
            host::Error::Invalid(reason) => Self::Invalid(reason),
            host::Error::Timeout => Self::Timeout,
            host::Error::Failed(reason) => Self::Failed(reason),
        }
    }
}

impl From<host::Answer> for Answer {
    fn from(answer: host::Answer) -> Self {
        let host::Answer { rcode, authoritative, records, nsid } = answer;
        let record = |host::Rr { name, rtype, ttl, data }| Record { name, rtype, ttl, data };
        Self { rcode, authoritative, records: records.into_iter().map(record).collect(), nsid }
    }
}

impl From<host::Reply> for Reply {
    fn from(reply: host::Reply) -> Self {
        let host::Reply { server, answer, elapsed_ms } = reply;
        let answer = answer.map(Into::into).map_err(Into::into);
        Self { server, answer, elapsed: Duration::from_millis(u64::from(elapsed_ms)) }
    }
}
