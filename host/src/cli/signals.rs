//! The signals that ask a process to stop, and the one that asks an agent to read its configuration again.

use std::fs::File;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// The terminal of a process that has one.
const TERMINAL: &str = "/dev/tty";

/// SIGINT, SIGTERM and SIGHUP, caught from here on.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    reload: Option<mpsc::Sender<()>>,
    has_terminal: bool,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("cannot catch signals");
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
            hangup: catch(SignalKind::hangup())?,
            reload: None,
            has_terminal: File::open(TERMINAL).is_ok(),
        })
    }

    /// From here on SIGHUP asks for a reload, unless it says that the terminal is gone.
    pub(super) fn reloads(&mut self) -> mpsc::Receiver<()> {
        // One that waits is as good as many.
        let (ask, asked) = mpsc::channel(1);
        self.reload = Some(ask);
        asked
    }

    /// Waits for the next one, and gives its name.
    pub(super) async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.hangup.recv() => match &self.reload {
                    Some(reload) if !self.has_terminal || File::open(TERMINAL).is_ok() => _ = reload.try_send(()),
                    _ => return "SIGHUP",
                },
            }
        }
    }
}
