//! A short text that belongs to the job and not to an agent: what this round must know of the last one. Granted to every job.
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use soloist_sdk::{Failure, state};
//!
//! #[derive(Serialize, Deserialize, Default)]
//! #[serde(default)]
//! struct Seen {
//!     version: Option<String>,
//!     failures: u32,
//! }
//!
//! fn remember() -> Result<(), Failure> {
//!     let mut seen: Seen = state::load()?.unwrap_or_default();
//!     seen.failures += 1;
//!     state::save(&seen)?;
//!     Ok(())
//! }
//! ```
//!
//! What a run saves is written with its completion, by one conditional replacement of the job's record: a run that fails or has
//! lost its lease changes nothing. At most 400 bytes as a JSON string; public where the record is.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::state as host;

/// What the job was left with, decoded from JSON; what this run has saved, once it has. None before the first.
///
/// # Errors
/// [`Error::Unreadable`]: it does not fit the type. A new version of a job that must read what an older one left gives its
/// fields defaults.
pub fn load<T: DeserializeOwned>() -> Result<Option<T>, Error> {
    let Some(text) = host::get() else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| Error::Unreadable(error.to_string()))
}

/// What the job is to be left with if this run ends well, as JSON. The last call counts.
///
/// # Errors
/// It was not taken: see [`Error`].
pub fn save<T: Serialize + ?Sized>(value: &T) -> Result<(), Error> {
    let text = serde_json::to_string(value).map_err(|error| Error::Invalid(error.to_string()))?;
    set(&text)
}

/// As [`load`], the text as it is.
pub fn get() -> Option<String> {
    host::get()
}

/// As [`save`], a text as it is.
///
/// # Errors
/// [`Error::TooLarge`].
pub fn set(text: &str) -> Result<(), Error> {
    Ok(host::set(Some(text))?)
}

/// Leaves the job with nothing if this run ends well.
///
/// # Errors
/// None that a host is known to give.
pub fn clear() -> Result<(), Error> {
    Ok(host::set(None)?)
}

/// Why there is no state, or why it was not taken. No further attempt can help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// What the job was left with is not what it expects.
    Unreadable(String),
    /// The value is no JSON: a map with keys that are no strings, for example.
    Invalid(String),
    /// It has more than 400 bytes as a JSON string. With the number of bytes.
    TooLarge(u32),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(reason) => write!(f, "the job's state is not what it expects: {reason}"),
            Self::Invalid(reason) => write!(f, "the state is no JSON: {reason}"),
            Self::TooLarge(bytes) => write!(f, "the state has {bytes} bytes, and at most 400 are kept"),
        }
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::TooLarge(bytes) => Self::TooLarge(bytes),
        }
    }
}
