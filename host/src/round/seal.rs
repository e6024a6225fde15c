//! Seals a record into its TXT value and opens it again: what is opened was sealed with one of the same keys.

use super::record::{Record, Unreadable};

/// How a record is sealed into a TXT value.
#[derive(Debug, Clone, Default)]
pub struct Seal {}

impl Seal {
    /// No seal: the value is the record's JSON.
    pub const fn none() -> Self {
        Self {}
    }

    /// The TXT value of a record. Equal records have equal values, so that a replacement can be repeated identically.
    pub fn seal(&self, record: &Record) -> Vec<u8> {
        record.encode()
    }

    /// The record in a TXT value.
    ///
    /// # Errors
    /// Says what is wrong with the value. No input makes it panic.
    pub fn open(&self, value: &[u8]) -> Result<Record, Unreadable> {
        Record::decode(value)
    }
}
