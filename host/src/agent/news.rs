//! Where news of the configuration comes from: what is read is said to be right or wrong, once.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::StartError;
use super::follow::{self, Follower};
use crate::config::{Config, ConfigError};

/// What makes an agent read its configuration again: a change of the file, or that somebody asks for it.
#[derive(Debug)]
pub struct Reload {
    /// The file.
    pub path: PathBuf,
    /// Somebody asks for it, whether the file changed or not: its secrets may have.
    pub asked: mpsc::Receiver<()>,
    /// What to try after an error.
    pub hint: fn(&(dyn Error + 'static)) -> Option<String>,
}

/// Where news of the configuration comes from.
pub(super) struct News {
    reload: Reload,
    changed: Arc<Notify>,
    reading: Option<JoinHandle<Result<Config, ConfigError>>>,
    /// What was said last of a configuration that was not taken.
    said: Option<String>,
    _follower: Option<Follower>,
}

/// Why a configuration was not taken.
#[derive(Debug)]
pub(super) enum Failure {
    Config(ConfigError),
    Start(StartError),
}

impl News {
    /// Follows the file from here on.
    pub(super) fn follow(reload: Reload) -> Self {
        let changed = Arc::new(Notify::new());
        let follower = follow::follow(reload.path.clone(), Arc::clone(&changed)).inspect_err(|error: &io::Error| {
            tracing::warn!(%error, "no thread to follow the configuration: only SIGHUP lets it be read again");
        });
        Self { reload, changed, reading: None, said: None, _follower: follower.ok() }
    }

    /// Says why a configuration was not taken; the same again only where somebody asks for it.
    pub(super) fn say(&mut self, failure: Option<Failure>) {
        let Some(failure) = failure else {
            self.said = None;
            return;
        };
        let error: &(dyn Error + 'static) = match &failure {
            Failure::Config(error) => error,
            Failure::Start(error) => error,
        };
        let (mut text, mut hint) = (error.to_string(), (self.reload.hint)(error));
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            hint = hint.or_else(|| (self.reload.hint)(error));
            cause = error.source();
        }
        if let Some(hint) = hint {
            text = format!("{text}; hint: {hint}");
        }
        if self.said.as_ref() != Some(&text) {
            tracing::error!(
                event = "not-reloaded",
                "the configuration is not taken, and what runs goes on as it was: {text}"
            );
            self.said = Some(text);
        }
    }
}

/// The next configuration that is to be gone by, or why there is none.
pub(super) async fn read(news: &mut Option<News>) -> Result<Config, ConfigError> {
    let Some(news) = news else { return std::future::pending().await };
    loop {
        if let Some(reading) = &mut news.reading {
            let read = reading.await;
            news.reading = None;
            match read {
                Ok(read) => return read,
                Err(error) => {
                    tracing::error!(%error, "reading the configuration broke off");
                    continue;
                }
            }
        }
        tokio::select! {
            Some(()) = news.reload.asked.recv() => news.said = None,
            () = news.changed.notified() => {}
        }
        let path = news.reload.path.clone();
        // A network file system may block.
        news.reading = Some(tokio::task::spawn_blocking(move || Config::load(&path)));
    }
}
