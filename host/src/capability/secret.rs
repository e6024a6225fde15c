//! Secrets of the host: read from a file or the environment, and shown to nobody.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::files;

/// The largest secret that is read, in bytes.
const MAX_SECRET: u64 = 16 * 1024;

/// A secret. Neither its `Debug` text nor any error holds it, and it is wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A secret that is already there.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// The secret itself, for the one request that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret stands: `{ file = "ops.webhook" }` or `{ env = "OPS_WEBHOOK" }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum SecretSource {
    /// A file, relative to the configuration's folder.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// Why there is no secret. No message holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("the file `{path}` with {what} cannot be read")]
    File {
        /// What it should hold.
        what: String,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The environment variable is not set.
    #[error("the environment variable `{variable}` with {what} is not set")]
    Environment {
        /// What it should hold.
        what: String,
        /// Which variable.
        variable: String,
    },
    /// There is something, and it is no such secret.
    #[error("{what} is not usable: {reason}")]
    Unusable {
        /// What it should be.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl SecretSource {
    /// Reads the secret, without the white space around it. `what` is what an error calls it.
    ///
    /// # Errors
    /// It cannot be read, is empty, longer than 16 KiB or holds control characters.
    pub fn resolve(&self, what: &str, base: &Path) -> Result<Secret, SecretError> {
        let text = match self {
            Self::File(path) => {
                let path = base.join(path);
                let failed = |error| SecretError::File { what: what.to_owned(), path: path.clone(), error };
                files::read_text(&path, MAX_SECRET).map_err(failed)?
            }
            Self::Env(variable) => std::env::var(variable)
                .map_err(|_| SecretError::Environment { what: what.to_owned(), variable: variable.clone() })?,
        };
        let secret = text.trim();
        let reason = match secret {
            "" => "it is empty",
            long if long.len() as u64 > MAX_SECRET => "it is too long",
            odd if odd.chars().any(char::is_control) => "it holds a line break or another control character",
            fine => return Ok(Secret::new(fine)),
        };
        Err(SecretError::Unusable { what: what.to_owned(), reason: reason.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(format!("{:?}", Secret::new("xoxb-1")), "Secret(…)");
    }

    #[test]
    fn a_file_is_found_beside_the_configuration_and_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "xoxb-1\n").unwrap();
        let source = SecretSource::File("token".into());
        assert_eq!(source.resolve("the token", folder.path()).unwrap().expose(), "xoxb-1");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("empty"), " \n").unwrap();
        std::fs::write(folder.path().join("lines"), "geheim\nkey").unwrap();
        let error =
            |name: &str| SecretSource::File(name.into()).resolve("the token", folder.path()).unwrap_err().to_string();
        assert!(error("empty").contains("the token is not usable: it is empty"));
        assert!(error("lines").contains("line break") && !error("lines").contains("geheim"));
        assert!(error("missing").contains("missing"));
        let unset = SecretSource::Env("SOLOIST_TEST_UNSET".to_owned()).resolve("the token", folder.path());
        assert!(unset.unwrap_err().to_string().contains("`SOLOIST_TEST_UNSET`"));
    }
}
