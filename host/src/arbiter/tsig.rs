//! A TSIG key (RFC 8945), read from a file or the environment; never shown, never taken from the command line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::rr::{Name, TSigner, rdata::tsig};

/// How far the clocks of the two sides may be apart, in seconds (RFC 8945, section 10).
pub const FUDGE_SECONDS: u16 = 300;

/// The largest key file that is read.
const MAX_KEY_FILE: u64 = 16 * 1024;

/// A MAC algorithm of RFC 8945, section 6: the ones that are recommended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// `hmac-sha256`.
    #[default]
    HmacSha256,
    /// `hmac-sha384`.
    HmacSha384,
    /// `hmac-sha512`.
    HmacSha512,
}

impl Algorithm {
    /// The name, as in a server's configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }

    /// The bytes that a new secret has: as many as the hash gives.
    pub const fn secret_bytes(self) -> usize {
        match self {
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }

    const fn wire(self) -> tsig::TsigAlgorithm {
        match self {
            Self::HmacSha256 => tsig::TsigAlgorithm::HmacSha256,
            Self::HmacSha384 => tsig::TsigAlgorithm::HmacSha384,
            Self::HmacSha512 => tsig::TsigAlgorithm::HmacSha512,
        }
    }
}

impl FromStr for Algorithm {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| KeyError::Algorithm(name.to_owned()))
    }
}

/// A named key. Its secret is not in its `Debug` text.
#[derive(Clone)]
pub struct Key {
    name: Name,
    algorithm: Algorithm,
    secret: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Why there is no key. No message holds any of the secret.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key's name is no domain name.
    #[error("`{0}` is no key name")]
    Name(String),
    /// The algorithm is not one of ours.
    #[error("`{0}` is no algorithm we sign with: `hmac-sha256`, `hmac-sha384` or `hmac-sha512`")]
    Algorithm(String),
    /// The file cannot be read.
    #[error("the key file `{path}` cannot be read")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The environment does not hold the key.
    #[error("the environment variable `{0}` is not set")]
    Environment(String),
    /// The secret is no base64, or there is none.
    #[error("{0} holds no secret: expected base64, or a `key` clause as BIND and Knot tools write it")]
    Secret(String),
}

impl Key {
    /// A key from its base64 secret, or from a text that holds a BIND `key` clause or Knot's `secret:` line.
    /// `origin` is what an error calls the text.
    pub fn new(name: &str, algorithm: Algorithm, text: &str, origin: &str) -> Result<Self, KeyError> {
        let mut name = Name::from_str(name).map_err(|_| KeyError::Name(name.to_owned()))?;
        name.set_fqdn(true);
        let secret = secret_in(text)
            .and_then(|secret| STANDARD.decode(secret).ok())
            .filter(|secret| !secret.is_empty())
            .ok_or_else(|| KeyError::Secret(origin.to_owned()))?;
        Ok(Self { name: name.to_lowercase(), algorithm, secret })
    }

    /// A key whose secret stands in a file.
    pub fn from_file(name: &str, algorithm: Algorithm, path: &Path) -> Result<Self, KeyError> {
        let failed = |error| KeyError::File { path: path.to_owned(), error };
        let length = std::fs::metadata(path).map_err(failed)?.len();
        if length > MAX_KEY_FILE {
            return Err(failed(std::io::Error::other("it is too large for a key")));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        Self::new(name, algorithm, &text, &format!("the key file `{}`", path.display()))
    }

    /// A key whose secret stands in an environment variable.
    pub fn from_env(name: &str, algorithm: Algorithm, variable: &str) -> Result<Self, KeyError> {
        let text = std::env::var(variable).map_err(|_| KeyError::Environment(variable.to_owned()))?;
        Self::new(name, algorithm, &text, &format!("the environment variable `{variable}`"))
    }

    /// A new key with a secret from the operating system's random numbers.
    pub fn generate(name: &str, algorithm: Algorithm) -> Result<Self, KeyError> {
        let mut secret = vec![0; algorithm.secret_bytes()];
        rand::RngCore::fill_bytes(&mut rand::rng(), &mut secret);
        Self::new(name, algorithm, &STANDARD.encode(secret), "the new key")
    }

    /// The key's name, lower-case and absolute.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The key's algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The secret in base64: for writing a key file, and nothing else.
    pub fn secret_base64(&self) -> String {
        STANDARD.encode(&self.secret)
    }

    /// What signs and verifies with this key.
    pub fn signer(&self) -> TSigner {
        // The algorithms that we name are all supported, and nothing else makes this fail.
        TSigner::new(self.secret.clone(), self.algorithm.wire(), self.name.clone(), FUDGE_SECONDS)
            .unwrap_or_else(|error| unreachable!("a supported algorithm was refused: {error}"))
    }
}

/// The base64 text in a key file: all of it, or what follows `secret` in a clause.
fn secret_in(text: &str) -> Option<&str> {
    let text = text.trim();
    let Some((_, after)) = text.split_once("secret") else {
        return (!text.contains(char::is_whitespace)).then_some(text);
    };
    let after = after.trim_start_matches([':', ' ', '\t', '"']);
    after.split(['"', ';', '\n', ' ']).next().filter(|secret| !secret.is_empty())
}
