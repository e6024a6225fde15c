//! `soloist job run --watch`: builds and runs again at each save, and goes on after whatever fails.

mod sources;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::super::log::LogFormat;
use super::super::output;
use super::super::signals::Signals;
use super::run::{Args, What, try_once};
use crate::module::Watch;
use sources::{Seen, Sources};

/// How often files are looked at where no change is told.
const POLL: Duration = Duration::from_secs(1);

/// How long files must stay as they are before they are taken for saved: an editor writes in several steps, and several files.
const CALM: Duration = Duration::from_millis(100);

pub(super) async fn run(what: &What, args: &Args, format: LogFormat) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let mut changes = Changes::new(Sources::of(what, args.config()));
    loop {
        // What changes while it is being built is seen afterwards.
        let seen = changes.look();
        let built = tokio::select! {
            built = what.build() => built,
            signal = signals.next() => return Ok(ended(signal)),
        };
        let cancel = CancellationToken::new();
        let running = async {
            let result = match built {
                Ok(module) => try_once(what, module, args, cancel.clone(), format).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                output::print_error(&error, format);
            }
            tracing::info!("waiting for a change; Ctrl-C ends it");
        };
        tokio::pin!(running);
        // A run is not waited for: what has changed is what its author wants to see.
        let (mut is_over, mut signal) = (false, None);
        while signal.is_none() {
            tokio::select! {
                () = &mut running, if !is_over => is_over = true,
                () = changes.next(&seen) => break,
                name = signals.next() => signal = Some(name),
            }
        }
        cancel.cancel();
        if !is_over {
            running.await;
        }
        if let Some(signal) = signal {
            return Ok(ended(signal));
        }
        tracing::info!("changed: once more");
    }
}

fn ended(signal: &str) -> ExitCode {
    tracing::info!("ended by {signal}");
    ExitCode::SUCCESS
}

/// Waits for changes of the sources.
struct Changes {
    sources: Sources,
    watch: Watch,
    hint: Arc<Notify>,
}

impl Changes {
    fn new(sources: Sources) -> Self {
        let hint = Arc::new(Notify::new());
        let told = Arc::clone(&hint);
        Self { sources, watch: Watch::new(move || told.notify_one()), hint }
    }

    fn look(&mut self) -> Seen {
        let seen = self.sources.look();
        self.watch.follow_directories(seen.folders());
        seen
    }

    /// Waits until the files are not what was seen, and stay so for a moment.
    async fn next(&mut self, seen: &Seen) {
        loop {
            let mut now = self.look();
            if now != *seen {
                loop {
                    tokio::time::sleep(CALM).await;
                    let later = self.look();
                    if later == now {
                        return;
                    }
                    now = later;
                }
            }
            tokio::select! {
                () = self.hint.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }
}
