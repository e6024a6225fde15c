//! The top-level table `[secrets]`: where each secret stands, and which origins it may go to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::capability::http::Grant;
use crate::capability::{Secret, SecretError, SecretSource};

/// The longest name of a secret.
pub(super) const MAX_NAME: usize = 64;

/// The most secrets of a configuration.
const MAX_ALL: usize = 256;

/// The shortest secret, in bytes: a shorter one would be found by chance in what servers answer.
const MIN_SECRET: usize = 8;

/// The longest secret, in bytes: a header field has no more room.
const MAX_SECRET: usize = 4096;

/// The top-level table `[secrets]`.
///
/// ```toml
/// [secrets.api-token]
/// file = "api.token"                          # or env = "API_TOKEN"
/// origins = ["https://api.example.com"]       # as in the grant `http`; `http://` only to `localhost` or an address
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct SecretsConfig(BTreeMap<String, Entry>);

/// `[secrets.NAME]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: Option<PathBuf>,
    env: Option<String>,
    origins: Vec<String>,
}

/// A secret and the origins that it may go to.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Its name.
    pub name: String,
    /// The secret itself.
    pub secret: Secret,
    /// Where it may go.
    pub origins: Grant,
}

impl SecretsConfig {
    /// Whether there is a secret of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Reads the secrets.
    ///
    /// # Errors
    /// One is missing or unusable, or its table makes no sense. No error holds any of it.
    pub fn resolve(&self, base: &Path) -> Result<BTreeMap<String, Bound>, SecretError> {
        let unusable = |what: &str, reason: String| SecretError::Unusable { what: what.to_owned(), reason };
        if self.0.len() > MAX_ALL {
            return Err(unusable(
                "`[secrets]`",
                format!("it has {} secrets, and at most {MAX_ALL} are allowed", self.0.len()),
            ));
        }
        let mut secrets = BTreeMap::new();
        for (name, entry) in &self.0 {
            check_name(name).map_err(|reason| unusable("`[secrets]`", reason))?;
            let what = format!("the secret `{name}`");
            let origins = entry.origins().map_err(|reason| unusable(&what, reason))?;
            let secret = entry.source().map_err(|reason| unusable(&what, reason))?.resolve(&what, base)?;
            match secret.expose().len() {
                short if short < MIN_SECRET => {
                    return Err(unusable(&what, format!("it has less than {MIN_SECRET} bytes")));
                }
                long if long > MAX_SECRET => {
                    return Err(unusable(&what, format!("it has more than {MAX_SECRET} bytes")));
                }
                _ => secrets.insert(name.clone(), Bound { name: name.clone(), secret, origins }),
            };
        }
        Ok(secrets)
    }
}

impl Entry {
    fn source(&self) -> Result<SecretSource, String> {
        match (&self.file, &self.env) {
            (Some(file), None) => Ok(SecretSource::File(file.clone())),
            (None, Some(variable)) => Ok(SecretSource::Env(variable.clone())),
            _ => Err("give `file` or `env`, one of them".to_owned()),
        }
    }

    fn origins(&self) -> Result<Grant, String> {
        if self.origins.is_empty() {
            return Err("it is bound to no origin: write `origins = [\"https://…\"]`".to_owned());
        }
        let origins = Grant::of(self.origins.iter().map(String::as_str)).map_err(|error| error.to_string())?;
        match origins.readable_on_the_way() {
            Some(origin) => Err(format!("`{origin}` would show it to everybody on the way: write `https://`")),
            None => Ok(origins),
        }
    }
}

/// # Errors
/// It is no name of a secret.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    let shown = crate::runtime::clean(name, MAX_NAME);
    Err(format!("`{shown}` is no name of a secret: it has 1 to {MAX_NAME} lower-case letters, digits, `-` and `_`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<BTreeMap<String, Bound>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "geheim-geheim\n").unwrap();
        std::fs::write(folder.path().join("short"), "geheim\n").unwrap();
        std::fs::write(folder.path().join("long"), "geheim".repeat(1000)).unwrap();
        let config: SecretsConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.resolve(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_is_read_with_its_origins_and_not_shown() {
        let secrets =
            resolve("[api]\nfile = \"token\"\norigins = [\"https://*.example.com\", \"http://127.0.0.1:1\"]").unwrap();
        assert_eq!(secrets["api"].secret.expose(), "geheim-geheim");
        assert!(!format!("{secrets:?}").contains("geheim"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let origins = "origins = [\"https://api.example.com\"]";
        for (text, reason) in [
            (format!("[api]\nfile = \"short\"\n{origins}"), "less than 8 bytes"),
            (format!("[api]\nfile = \"long\"\n{origins}"), "more than 4096 bytes"),
            (format!("[api]\nfile = \"missing\"\n{origins}"), "missing"),
            (format!("[api]\n{origins}"), "`file` or `env`"),
            (format!("[api]\nfile = \"token\"\nenv = \"X\"\n{origins}"), "one of them"),
            (format!("[\"../api\"]\nfile = \"token\"\n{origins}"), "no name of a secret"),
            ("[api]\nfile = \"token\"".to_owned(), "missing field `origins`"),
            ("[api]\nfile = \"token\"\norigins = []".to_owned(), "bound to no origin"),
            ("[api]\nfile = \"token\"\norigins = [\"http://api.example.com\"]".to_owned(), "everybody on the way"),
            ("[api]\nfile = \"token\"\norigins = [\"https://x/y\"]".to_owned(), "no path"),
            (format!("[api]\nvalue = \"geheim\"\n{origins}"), "unknown field `value`"),
        ] {
            let error = resolve(&text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("geheim-") && !error.contains("geheimgeheim"), "{error}");
        }
    }
}
