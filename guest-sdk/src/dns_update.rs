//! Changes to RRsets, through the account of the job's arbiter: `dns-update = [{ name = "www.example.com", types = ["A"] }]`.
//!
//! ```no_run
//! use soloist_sdk::{Failure, dns_update};
//!
//! fn fail_over() -> Result<(), Failure> {
//!     dns_update::Change::new()
//!         .set("www.example.com", "A", 60, ["192.0.2.7"])
//!         .delete("www.example.com", "AAAA")
//!         .apply()?;
//!     Ok(())
//! }
//! ```

use std::fmt;

use crate::host::dns_update as host;

/// Changes that are being put together; [`Change::apply`] makes them.
#[derive(Debug, Clone, Default)]
#[must_use = "a change is not made until it is applied"]
pub struct Change {
    rrsets: Vec<host::Rrset>,
}

impl Change {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The RRset of this type at this name is to be this: seconds that it may be kept, and the data of each record, in
    /// presentation form; a TXT record's text as it is. At most 20 RRsets.
    pub fn set<S: Into<String>>(
        mut self,
        name: impl Into<String>,
        rtype: impl Into<String>,
        ttl: u32,
        data: impl IntoIterator<Item = S>,
    ) -> Self {
        let data = data.into_iter().map(Into::into).collect();
        self.rrsets.push(host::Rrset { name: name.into(), rtype: rtype.into(), ttl, data });
        self
    }

    /// There is to be no RRset of this type at this name.
    pub fn delete(self, name: impl Into<String>, rtype: impl Into<String>) -> Self {
        self.set(name, rtype, 0, [""; 0])
    }

    /// Makes all changes, or none where the arbiter takes them as one. An RRset that is already so is no error.
    ///
    /// # Errors
    /// It was not made, or may not have been: see [`Error`].
    pub fn apply(self) -> Result<(), Error> {
        Ok(host::replace(&self.rrsets)?)
    }
}

/// Why a change was not made, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The grants do not name this name and type, it is the record of a job, or the arbiter has no such account.
    Denied(String),
    /// The name, the type or the data is none, or over a limit.
    Invalid(String),
    /// The server refused it: its code, and what it said.
    Refused(String),
    /// No answer, or a server error. The change may have been made.
    Unavailable(String),
}

impl Error {
    /// Whether another attempt can help: what `?` goes by when it makes a [`Failure`](crate::Failure) of this.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Denied(_) | Self::Invalid(_) | Self::Refused(_) => false,
            Self::Unavailable(_) => true,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) => write!(f, "the grants do not allow it: {reason}"),
            Self::Invalid(reason) => write!(f, "the change is malformed: {reason}"),
            Self::Refused(reason) => write!(f, "the server refused the change: {reason}"),
            Self::Unavailable(reason) => write!(f, "no word whether the change was made: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Denied(reason) => Self::Denied(reason),
            host::Error::Invalid(reason) => Self::Invalid(reason),
            host::Error::Refused(reason) => Self::Refused(reason),
            host::Error::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}
