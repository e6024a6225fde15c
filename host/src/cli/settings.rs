//! Loads the configuration for a command, its hint included.

use std::path::Path;

use super::output::WithHint as _;
use crate::config::{Config, ConfigError};

pub(super) fn load(path: &Path) -> anyhow::Result<Config> {
    with_hint(Config::load(path))
}

pub(super) fn with_hint<T>(result: Result<T, ConfigError>) -> anyhow::Result<T> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => match error.hint() {
            Some(hint) => Err(error).hint(hint),
            None => Err(error.into()),
        },
    }
}
