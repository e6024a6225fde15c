//! What is wrong with a configuration: where, what, and what to try.

use std::path::{Path, PathBuf};

use crate::arbiter::tsig::KeyError;

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
    #[error("{place}: {problem}")]
    Invalid {
        /// Where: `[job.canary] lease`.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// The TSIG key cannot be had.
    #[error("[arbiter] key")]
    Key(#[from] KeyError),
    /// There is no job of this name.
    #[error("there is no job `{name}` in the configuration")]
    NoSuchJob {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        names: String,
    },
}

/// An invalid value.
pub(super) fn invalid(place: &str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { place: place.to_owned(), problem: problem.into() }
}

impl ConfigError {
    /// An error of the TOML reader, with the nearest known key where one is not known.
    pub(super) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.as_bytes()[..start.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
        let (message, hint) = unknown_key(error.message())
            .unwrap_or_else(|| (error.message().lines().collect::<Vec<_>>().join(": "), None));
        Self::Syntax { path: path.to_owned(), line, message, hint }
    }

    /// What to try, where there is something better than the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax { hint, .. } => hint.clone(),
            Self::Unreadable { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
                Some("name the file with `--config FILE`; README.md shows a complete one".to_owned())
            }
            Self::Key(KeyError::File { .. }) => Some("`soloist dns key` makes a key file".to_owned()),
            Self::NoSuchJob { names, .. } if !names.is_empty() => Some(format!("its jobs are `{names}`")),
            _ => None,
        }
    }
}

/// Serde says ``unknown field `evry`, expected one of `every`, `module` ``: the nearest one is what was meant.
fn unknown_key(message: &str) -> Option<(String, Option<String>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let nearest = known.iter().max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
    let hint = match nearest {
        Some(nearest) if strsim::jaro_winkler(key, nearest) > 0.7 => format!("did you mean `{nearest}`?"),
        _ if known.is_empty() => return Some((format!("unknown key `{key}`"), None)),
        _ => format!("the keys known here are `{}`", known.join("`, `")),
    };
    Some((format!("unknown key `{key}`"), Some(hint)))
}
