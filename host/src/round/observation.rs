//! What an arbiter was seen to hold, and what a conditional replacement compares it with.

use std::sync::Arc;

use super::record::{Record, Unreadable};
use super::seal::Seal;

/// What a conditional replacement compares: opaque to all but the arbiter that made it.
///
/// It covers the whole RRset, so a second TXT record at the name is another revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Revision {
    /// No TXT record stands at the name.
    Absent,
    /// Exactly this stands there, in the arbiter's own terms: values, an id, an etag.
    Exact(Arc<[u8]>),
}

/// One authoritative read of a job's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What to hand to a conditional replacement of what was seen.
    pub revision: Revision,
    /// The value of every TXT record at the name, its strings joined; sorted, so that equal RRsets are equal here.
    pub values: Vec<Vec<u8>>,
}

impl Observation {
    /// The observation of a name without a TXT record.
    pub const fn absent() -> Self {
        Self { revision: Revision::Absent, values: Vec::new() }
    }

    /// The one record that was seen, without a seal, or none where there is no TXT record.
    ///
    /// # Errors
    /// More than one TXT record, or a value that is no record.
    pub fn record(&self) -> Result<Option<Record>, Unreadable> {
        self.opened(&Seal::none())
    }

    /// The one record that was seen, opened, or none where there is no TXT record.
    ///
    /// # Errors
    /// More than one TXT record, or a value that the seal does not open.
    pub fn opened(&self, seal: &Seal) -> Result<Option<Record>, Unreadable> {
        match self.values.as_slice() {
            [] => Ok(None),
            [value] => seal.open(value).map(Some),
            several => Err(Unreadable::Several(several.len())),
        }
    }

    /// Whether exactly this value was seen and nothing beside it.
    pub fn is(&self, value: &[u8]) -> bool {
        matches!(self.values.as_slice(), [seen] if seen == value)
    }
}

/// What came of a conditional replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaced {
    /// The record is written; its revision.
    Applied(Revision),
    /// Something else stood there: nothing was written.
    Conflict,
    /// Nobody knows: the answer was lost, late or a server failure. Read again before anything else.
    Unknown(String),
}
