//! What is wrong with a configuration: where, what, and what to try. No message holds what may be a secret.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::place;
use crate::arbiter::tsig::KeyError;
use crate::capability::SecretError;

/// Where the TSIG key is named.
const KEY: &str = "[arbiter] key";

/// How alike a key must be to a known one to be taken for it, from 0 to 1 (Jaro and Winkler).
const ALIKE: f64 = 0.7;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration `{path}` cannot be read")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The text is not TOML, or a key is not known or has a value of another kind.
    #[error("{path}:{line}: {message}", path = path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
        /// What to try.
        hint: Option<String>,
    },
    /// A value cannot be what it is.
    #[error("{at}: {place}: {problem}")]
    Invalid {
        /// Which file, and which line of it where that is known.
        at: String,
        /// Where in it: `[job.canary] lease`.
        place: String,
        /// What is wrong.
        problem: String,
        /// What to try.
        hint: Option<String>,
    },
    /// The TSIG key cannot be had.
    #[error("{at}: {KEY}")]
    Key {
        /// Which file, and which line of it where that is known.
        at: String,
        /// Why.
        #[source]
        error: KeyError,
    },
    /// A secret cannot be had.
    #[error("{at}: {place}")]
    Secret {
        /// Which file, and which line of it where that is known.
        at: String,
        /// Where in it: `[seal] keys`.
        place: &'static str,
        /// What to try.
        hint: Option<String>,
        /// Why.
        #[source]
        error: SecretError,
    },
    /// There is no job of this name.
    #[error("there is no job `{name}` in the configuration")]
    NoSuchJob {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        names: String,
    },
}

/// What is wrong with a value, before it is known in which file.
#[derive(Debug)]
pub(super) enum Problem {
    /// A value cannot be what it is.
    Value { place: String, problem: String, hint: Option<String> },
    /// The TSIG key cannot be had.
    Key(KeyError),
    /// A secret cannot be had.
    Secret { place: &'static str, hint: Option<String>, error: SecretError },
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

/// A value that cannot be what it is.
pub(super) fn invalid(place: &str, problem: impl Into<String>) -> Problem {
    Problem::Value { place: place.to_owned(), problem: problem.into(), hint: None }
}

impl Problem {
    /// Adds what to try.
    pub(super) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Value { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// The error, in this file with this text.
    pub(super) fn at(self, path: &Path, text: &str) -> ConfigError {
        let place = match &self {
            Self::Value { place, .. } => place,
            Self::Key(_) => KEY,
            Self::Secret { place, .. } => place,
        };
        let path = path.display();
        let at = place::line(text, place).map_or_else(|| path.to_string(), |line| format!("{path}:{line}"));
        match self {
            Self::Value { place, problem, hint } => ConfigError::Invalid { at, place, problem, hint },
            Self::Key(error) => ConfigError::Key { at, error },
            Self::Secret { place, hint, error } => ConfigError::Secret { at, place, hint, error },
        }
    }
}

impl ConfigError {
    /// An error of the TOML reader, in our words, with the nearest known key where one is not known.
    pub(super) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.as_bytes()[..start.min(text.len())].split(|byte| *byte == b'\n').count();
        let (message, hint) = in_words(error.message());
        Self::Syntax { path: path.to_owned(), line, message, hint }
    }

    /// What to try, where there is something better than the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax { hint, .. } | Self::Invalid { hint, .. } | Self::Secret { hint, .. } => hint.clone(),
            Self::Unreadable { path, error } => unreadable(path, error.kind()),
            Self::Key { error, .. } => key(error),
            Self::NoSuchJob { names, .. } if names.is_empty() => {
                Some("it has no jobs: `[job.NAME]` begins one".to_owned())
            }
            Self::NoSuchJob { name, names } => {
                let known: Vec<&str> = names.split("`, `").collect();
                Some(nearest(name, &known).map_or_else(
                    || format!("its jobs are `{names}`"),
                    |near| format!("did you mean `{near}`? Its jobs are `{names}`"),
                ))
            }
        }
    }
}

fn unreadable(path: &Path, kind: ErrorKind) -> Option<String> {
    let path = path.display();
    Some(match kind {
        ErrorKind::NotFound => {
            "name the file with `--config FILE`; README.md shows a complete one, and `soloist demo` needs none"
                .to_owned()
        }
        ErrorKind::IsADirectory => format!("name the file in it: `--config {path}/soloist.toml`"),
        ErrorKind::PermissionDenied => format!("this user may not read it: `ls -l {path}` shows who may"),
        ErrorKind::InvalidData => "save it as UTF-8".to_owned(),
        _ => return None,
    })
}

fn key(error: &KeyError) -> Option<String> {
    Some(match error {
        KeyError::File { path, error } if error.kind() == ErrorKind::NotFound => {
            format!("`soloist dns key --out {}` makes one", path.display())
        }
        KeyError::File { path, error } if error.kind() == ErrorKind::PermissionDenied => {
            format!("this user may not read it: `ls -l {}` shows who may", path.display())
        }
        KeyError::Environment(variable) => format!("set it where the agent starts: `export {variable}=…`"),
        KeyError::OtherName { .. } | KeyError::OtherAlgorithm { .. } => {
            "name and algorithm in the configuration are those of the key that the zone's server knows".to_owned()
        }
        KeyError::Secret(_) => "`soloist dns key` shows what one looks like".to_owned(),
        KeyError::Name(_) | KeyError::Algorithm(_) | KeyError::File { .. } => return None,
    })
}

/// A secret that cannot be had. Where a file of it is not there, `made` says how it is come by; `unusable`, what it looks like.
pub(super) fn secret(
    place: &'static str,
    error: SecretError,
    made: impl Fn(&Path) -> String,
    unusable: Option<&str>,
) -> Problem {
    let hint = match &error {
        SecretError::File { path, .. } => Some(is_forbidden(&error).unwrap_or_else(|| made(path))),
        SecretError::Environment { .. } => is_forbidden(&error),
        SecretError::Unusable { .. } => unusable.map(str::to_owned),
    };
    Problem::Secret { place, hint, error }
}

/// What to try where a secret is not given to this process.
fn is_forbidden(error: &SecretError) -> Option<String> {
    match error {
        SecretError::File { path, error, .. } if error.kind() == ErrorKind::PermissionDenied => {
            Some(format!("this user may not read it: `ls -l {}` shows who may", path.display()))
        }
        SecretError::Environment { variable, .. } => {
            Some(format!("set it where the agent starts: `export {variable}=…`"))
        }
        SecretError::File { .. } | SecretError::Unusable { .. } => None,
    }
}

/// What the TOML reader says, in our words, and what to try.
fn in_words(message: &str) -> (String, Option<String>) {
    let quoted = |start: &str| message.strip_prefix(start)?.split_once('`');
    if let Some((key, rest)) = quoted("unknown field `") {
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        return (format!("unknown key `{key}`"), unknown(key, &known));
    }
    if let Some((key, _)) = quoted("missing field `") {
        return (format!("the key `{key}` is missing"), example(key).map(|line| format!("write `{line}`")));
    }
    // These repeat the value, and a secret may have been written where its file belongs.
    if let Some((found, expected)) =
        ["invalid type: ", "invalid value: "].iter().find_map(|start| message.strip_prefix(start)).and_then(|rest| {
            rest.split_once(", expected ")
                .filter(|_| !rest.starts_with("string "))
                .or_else(|| rest.rsplit_once(", expected "))
        })
    {
        return (format!("expected {}, found {}", what_is_expected(expected), what_is_found(found)), None);
    }
    if message.starts_with("unknown variant ")
        && let Some((_, expected)) = message.rsplit_once("expected ")
    {
        return (format!("expected a table with {expected}"), None);
    }
    let hint =
        message.contains("is no length of time").then(|| "write it with its unit: `\"90s\"`, `\"5m\"`".to_owned());
    (message.lines().collect::<Vec<_>>().join(": "), hint)
}

/// Serde's names of types, as a writer of TOML calls them.
fn what_is_expected(expected: &str) -> &str {
    match expected {
        "u16" | "u32" | "u64" => "a whole number",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

/// What stands there instead: never the text of a string.
fn what_is_found(found: &str) -> String {
    match found.split_once(' ').unwrap_or((found, "")) {
        ("string", _) => "a string".to_owned(),
        ("map", _) => "a table".to_owned(),
        ("sequence", _) => "a list".to_owned(),
        ("integer" | "floating", number) => format!("the number {}", number.trim_start_matches("point ")),
        _ => found.to_owned(),
    }
}

fn unknown(key: &str, known: &[&str]) -> Option<String> {
    match nearest(key, known) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("the keys known here are `{}`", known.join("`, `"))),
    }
}

/// The known name that was meant, perhaps.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let alike = known.iter().map(|known| (strsim::jaro_winkler(&name.to_lowercase(), known), *known));
    alike.filter(|(alike, _)| *alike > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

/// A line that has the key.
fn example(key: &str) -> Option<&'static str> {
    Some(match key {
        "arbiter" => "[arbiter]",
        "kind" => "kind = \"rfc2136\"",
        "name" => "name = \"soloist\"",
        "record" => "record = \"canary.example.com\"",
        "module" => "module = \"jobs/canary.wasm\"",
        _ => return None,
    })
}
