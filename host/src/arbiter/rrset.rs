//! Whole RRsets, and what may become of a change of them.

use hickory_proto::rr::{Name, RData, RecordType};

/// What an RRset is to be: all records of a type at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RrSet {
    /// The owner's name, absolute and in lower case.
    pub name: Name,
    /// The type.
    pub rtype: RecordType,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// The data of each record, each once. None of them deletes the RRset.
    pub data: Vec<RData>,
}

/// Why a change was not made, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It was no longer wanted when it was about to be sent: nothing was.
    #[error("no longer wanted")]
    Withdrawn,
    /// The server refused all of it: its code, with what to check.
    #[error("{0}")]
    Refused(String),
    /// No answer, or a server's failure. The change may have been made.
    #[error("{0}")]
    Unavailable(String),
}
