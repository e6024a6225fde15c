//! The job's own settings: `[job.NAME.config]` in the configuration. Granted to every job.
//!
//! ```no_run
//! use serde::Deserialize;
//! use soloist_sdk::{Failure, config};
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields, rename_all = "kebab-case")]
//! struct Settings {
//!     url: String,
//!     #[serde(default)]
//!     max_items: Option<u32>,
//! }
//!
//! fn settings() -> Result<Settings, Failure> {
//!     Ok(config::load()?)
//! }
//! ```

use std::fmt;

use serde::de::DeserializeOwned;

use crate::host::config as host;

/// One setting: a string as it is, a number or boolean as its TOML text, an array or table as JSON. None where there is
/// no such key.
pub fn get(key: &str) -> Option<String> {
    host::get(key)
}

/// All settings, as a type of the job's own.
///
/// # Errors
/// The settings do not fit the type; no further attempt can help that.
pub fn load<T: DeserializeOwned>() -> Result<T, Error> {
    serde_json::from_str(&host::json()).map_err(Error)
}

/// The job's settings are not what the job expects.
#[derive(Debug)]
pub struct Error(serde_json::Error);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job's settings are not what it expects")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
