//! Secrets that the job may use and never sees: `secrets = ["api-token"]`.
//!
//! ```no_run
//! use soloist_sdk::{Failure, http, secrets};
//!
//! fn ask() -> Result<(), Failure> {
//!     let token = secrets::get("api-token")?;
//!     http::Request::get("https://api.example.com/me")
//!         .header("authorization", format!("Bearer {token}"))
//!         .send()?
//!         .success()?;
//!     Ok(())
//! }
//! ```
//!
//! What the job gets is a placeholder. The host puts the secret in its place in a request's header fields and body, on the way
//! out, only to the origins that the secret is bound to; in a response, the secret is replaced by the placeholder again.

use std::fmt;

use crate::host::secrets as host;

/// The placeholder of a secret, good for this run only.
///
/// # Errors
/// [`Error::Denied`].
pub fn get(name: &str) -> Result<String, Error> {
    Ok(host::get(name)?)
}

/// Why there is no placeholder. No further attempt can help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The job was not granted a secret of this name. The text names the line that grants it.
    Denied(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Denied(reason) = self;
        write!(f, "the grants do not allow it: {reason}")
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Denied(reason) => Self::Denied(reason),
        }
    }
}
