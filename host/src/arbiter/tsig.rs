//! A TSIG key (RFC 8945), read from a file or the environment; never shown, never taken from the command line.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::rr::{Name, TSigner, rdata::tsig};

use crate::files;

/// How far the clocks of the two sides may be apart, in seconds (RFC 8945, section 10).
pub const FUDGE_SECONDS: u16 = 300;

/// The largest key file that is read, in bytes.
const MAX_KEY_FILE: u64 = 16 * 1024;

/// The longest secret, in bytes. A longer one than the hash's block, 128 bytes at most, gives nothing more.
const MAX_SECRET: usize = 512;

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
        error: io::Error,
    },
    /// The environment does not hold the key.
    #[error("the environment variable `{0}` is not set")]
    Environment(String),
    /// The text names keys, and not this one.
    #[error("{origin} does not hold the key `{name}`")]
    OtherName {
        /// What holds the text.
        origin: String,
        /// The key that was wanted.
        name: String,
    },
    /// The text has the key with another algorithm.
    #[error("{origin} has the key `{name}` with another algorithm than `{algorithm}`")]
    OtherAlgorithm {
        /// What holds the text.
        origin: String,
        /// The key's name.
        name: String,
        /// The algorithm that was wanted.
        algorithm: &'static str,
    },
    /// The secret is no base64, too long, or there is none.
    #[error("{0} holds no secret: expected base64, or a `key` clause as BIND and Knot tools write it")]
    Secret(String),
}

impl Key {
    /// A key from its base64 secret, or from a text that holds a BIND `key` clause or a Knot `key` section. Where the
    /// text has names or algorithms, it must have this one. `origin` is what an error calls the text.
    pub fn new(name: &str, algorithm: Algorithm, text: &str, origin: &str) -> Result<Self, KeyError> {
        let wanted = absolute(name).ok_or_else(|| KeyError::Name(name.to_owned()))?;
        let clauses = clauses(text);
        let clause = clauses.iter().find(|clause| clause.is_named(&wanted)).or_else(|| clauses.first());
        let base64 = match clause {
            // A bare secret, in as many lines as the tool that made it thought fit.
            None => lines(text).map(|line| line.trim_matches('"')).collect(),
            Some(clause) if clause.name.is_some() && !clause.is_named(&wanted) => {
                return Err(KeyError::OtherName { origin: origin.to_owned(), name: name.to_owned() });
            }
            Some(Clause { algorithm: Some(found), .. })
                if !found.trim_end_matches('.').eq_ignore_ascii_case(algorithm.name()) =>
            {
                let (origin, name) = (origin.to_owned(), name.to_owned());
                return Err(KeyError::OtherAlgorithm { origin, name, algorithm: algorithm.name() });
            }
            Some(clause) => clause.secret.unwrap_or_default().to_owned(),
        };
        let secret = STANDARD
            .decode(base64)
            .ok()
            .filter(|secret| (1..=MAX_SECRET).contains(&secret.len()))
            .ok_or_else(|| KeyError::Secret(origin.to_owned()))?;
        Ok(Self { name: wanted, algorithm, secret })
    }

    /// A key whose secret stands in a file.
    pub fn from_file(name: &str, algorithm: Algorithm, path: &Path) -> Result<Self, KeyError> {
        let failed = |error| KeyError::File { path: path.to_owned(), error };
        let text = files::read_text(path, MAX_KEY_FILE).map_err(failed)?;
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
        self.signer_within(FUDGE_SECONDS)
    }

    /// What signs with this key for a server whose clock may be so far from ours, in seconds. A request can be played back
    /// for as long: more than [`FUDGE_SECONDS`] is for those that change nothing.
    pub fn signer_within(&self, fudge: u16) -> TSigner {
        // The algorithms that we name are all supported, and nothing else makes this fail.
        TSigner::new(self.secret.clone(), self.algorithm.wire(), self.name.clone(), fudge)
            .unwrap_or_else(|error| unreachable!("a supported algorithm was refused: {error}"))
    }
}

/// One key as a text names it. What the text leaves out is none.
#[derive(Default)]
struct Clause<'a> {
    name: Option<&'a str>,
    algorithm: Option<&'a str>,
    secret: Option<&'a str>,
}

impl Clause<'_> {
    fn is_named(&self, name: &Name) -> bool {
        self.name.is_some_and(|found| absolute(found).is_some_and(|found| found == *name))
    }
}

/// The keys in a text: BIND's `key "name" { algorithm …; secret "…"; };`, or Knot's `id:`, `algorithm:` and `secret:`.
fn clauses(text: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = Vec::new();
    let mut words = lines(text).flat_map(words);
    while let Some(word) = words.next() {
        match word {
            "key" | "id:" => clauses.push(Clause { name: words.next(), ..Clause::default() }),
            "algorithm" | "algorithm:" => clause_at_end(&mut clauses).algorithm = words.next(),
            "secret" | "secret:" => clause_at_end(&mut clauses).secret = words.next(),
            _ => {}
        }
    }
    clauses
}

/// The clause that a field belongs to: the last one, or one without a name.
fn clause_at_end<'a, 'b>(clauses: &'b mut Vec<Clause<'a>>) -> &'b mut Clause<'a> {
    if clauses.is_empty() {
        clauses.push(Clause::default());
    }
    let last = clauses.len() - 1;
    &mut clauses[last]
}

/// The lines that are no comments. Base64 may hold `//`, even at its start, so a comment is a whole line of words.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let is_comment = |line: &str| line.starts_with('#') || line.starts_with("//") && line.contains(char::is_whitespace);
    text.lines().map(str::trim).filter(move |line| !line.is_empty() && !is_comment(line))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '{' | '}')).filter(|word| !word.is_empty())
}

/// A key's name, absolute and in lower case; none if it is no name.
fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_str(name).ok()?;
    name.set_fqdn(true);
    (!name.is_root()).then(|| name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    /// 32 bytes whose base64 has every awkward character, and the word that a clause's field has.
    const SECRET: &str = "//secret+/secret/secret+secret//secretsecrQ=";

    fn key(text: &str) -> Result<Key, KeyError> {
        Key::new("soloist", Algorithm::HmacSha256, text, "the key file `soloist.key`")
    }

    #[test]
    fn bare_base64_is_a_secret() {
        for text in [SECRET.to_owned(), format!("\n  {SECRET}\r\n"), format!("\"{SECRET}\"\n")] {
            assert_eq!(key(&text).unwrap().secret_base64(), SECRET, "{text}");
        }
    }

    #[test]
    fn bare_base64_may_be_wrapped_as_openssl_does() {
        let (one, other) = SECRET.split_at(32);
        assert_eq!(key(&format!("{one}\n{other}\n")).unwrap().secret_base64(), SECRET);
    }

    #[test]
    fn a_bind_key_clause_holds_a_secret() {
        let text = format!("key \"soloist\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{SECRET}\";\n}};\n");
        assert_eq!(key(&text).unwrap().secret_base64(), SECRET);
        let text = format!("key Soloist. {{ algorithm HMAC-SHA256.; secret {SECRET}; }};");
        assert_eq!(key(&text).unwrap().secret_base64(), SECRET);
    }

    #[test]
    fn a_knot_key_section_holds_a_secret() {
        let text = format!(
            "# hmac-sha256:soloist:{SECRET}\nkey:\n  - id: soloist\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"
        );
        assert_eq!(key(&text).unwrap().secret_base64(), SECRET);
        assert_eq!(key(&format!("secret: '{SECRET}'")).unwrap().secret_base64(), SECRET);
    }

    #[test]
    fn of_several_keys_the_named_one_is_taken() {
        let text = format!(
            "key other {{ algorithm hmac-sha512; secret \"AAAA\"; }};\n\
             // key soloist {{ secret \"BBBB\"; }};\n\
             key soloist {{ secret \"{SECRET}\"; }};\n"
        );
        assert_eq!(key(&text).unwrap().secret_base64(), SECRET);
    }

    #[test]
    fn a_name_with_the_word_secret_in_it_is_a_name() {
        let text = format!("key \"my-secret\" {{ secret \"{SECRET}\"; }};");
        let key = Key::new("my-secret", Algorithm::HmacSha256, &text, "it").unwrap();
        assert_eq!(key.secret_base64(), SECRET);
    }

    #[test]
    fn a_text_for_another_key_or_algorithm_is_refused() {
        let text = format!("key other {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};");
        assert_eq!(key(&text).unwrap_err().to_string(), "the key file `soloist.key` does not hold the key `soloist`");
        let text = format!("key soloist {{ algorithm hmac-sha512; secret \"{SECRET}\"; }};");
        let error = "the key file `soloist.key` has the key `soloist` with another algorithm than `hmac-sha256`";
        assert_eq!(key(&text).unwrap_err().to_string(), error);
    }

    #[test]
    fn garbage_is_no_secret_and_is_not_shown() {
        let long = "c2Vj".repeat(MAX_SECRET);
        for text in [
            "",
            " \n",
            "=",
            "hunter2 hunter2",
            "key soloist { secret \"hunter2!\"; };",
            "secret",
            "{{{",
            "hüter2!",
            &long,
        ] {
            let error = key(text).unwrap_err();
            assert!(matches!(error, KeyError::Secret(_)), "{text}: {error}");
            assert_eq!(error.to_string(), key("").unwrap_err().to_string());
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_is_no_key_name_is_refused() {
        for name in ["", ".", "a..b"] {
            assert!(matches!(Key::new(name, Algorithm::HmacSha256, SECRET, "it"), Err(KeyError::Name(_))), "{name}");
        }
    }

    #[test]
    fn the_secret_is_in_no_debug_text() {
        let shown = format!("{:?}", key(SECRET).unwrap());
        assert!(shown.contains("soloist") && shown.contains("HmacSha256"), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("255"), "{shown}");
    }

    #[test]
    fn a_generated_key_is_as_long_as_its_hash_and_never_the_same() {
        for algorithm in [Algorithm::HmacSha256, Algorithm::HmacSha384, Algorithm::HmacSha512] {
            assert_eq!(algorithm.name().parse::<Algorithm>().unwrap(), algorithm);
            let (one, other) = (Key::generate("a", algorithm).unwrap(), Key::generate("a", algorithm).unwrap());
            assert_eq!(STANDARD.decode(one.secret_base64()).unwrap().len(), algorithm.secret_bytes());
            assert_ne!(one.secret_base64(), other.secret_base64());
        }
    }

    #[test]
    fn a_key_file_is_read_and_a_missing_or_huge_one_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("soloist.key");
        let missing = Key::from_file("soloist", Algorithm::HmacSha256, &path).unwrap_err();
        assert_eq!(missing.to_string(), format!("the key file `{}` cannot be read", path.display()));
        assert!(missing.source().is_some());

        std::fs::write(&path, SECRET).unwrap();
        let key = Key::from_file("soloist", Algorithm::HmacSha256, &path).unwrap();
        assert_eq!(key.secret_base64(), SECRET);

        std::fs::write(&path, vec![b'A'; 20 * 1024]).unwrap();
        assert!(matches!(Key::from_file("soloist", Algorithm::HmacSha256, &path), Err(KeyError::File { .. })));
    }

    #[test]
    fn an_environment_variable_that_is_not_set_is_named() {
        let error = Key::from_env("soloist", Algorithm::HmacSha256, "SOLOIST_TEST_NO_SUCH_VARIABLE").unwrap_err();
        assert_eq!(error.to_string(), "the environment variable `SOLOIST_TEST_NO_SUCH_VARIABLE` is not set");
    }
}
