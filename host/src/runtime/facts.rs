//! What is known of one run: whose it is, until when it may act, and why it must stop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::lease::{Lease, LeaseLost};
use super::log::RunLog;
use super::run::Request;
use crate::clock::{boot_ms, millis};
use crate::round::{Change, Data, Fence};

/// The longest that a stop goes unnoticed where only a clock shows it: timers stand still while the machine sleeps, so
/// the clock of the lease is looked at again and again.
const WATCH: Duration = Duration::from_millis(50);

/// What the host knows of one run. Shared by the run, its capabilities and their requests.
#[derive(Debug)]
pub struct Facts {
    /// The job's name.
    pub job: String,
    /// The agent that runs it.
    pub agent: String,
    /// The round and the attempt.
    pub fence: Fence,
    /// What allows the run to act.
    pub lease: Lease,
    /// The job's own settings.
    pub settings: Arc<Map<String, Value>>,
    /// Where its lines go.
    pub log: RunLog,
    /// The job's text, as the last run that went well left it.
    state: Option<Data>,
    /// What this run makes of it.
    change: Mutex<Change>,
    /// When it must end, on the clock of [`boot_ms`].
    pub(super) deadline: u64,
    pub(super) cancel: CancellationToken,
}

/// Why a run was stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// Its time is over.
    #[error("the deadline has passed")]
    Deadline,
    /// Its lease was lost.
    #[error("the lease is lost")]
    LeaseLost,
    /// The agent cancelled it.
    #[error("cancelled")]
    Cancelled,
}

impl Facts {
    /// The facts of a run that begins now.
    pub fn new(request: &Request) -> Self {
        Self {
            job: request.job.clone(),
            agent: request.agent.clone(),
            fence: request.fence,
            lease: request.lease.clone(),
            settings: Arc::clone(&request.settings),
            log: RunLog::new(request.job.clone(), request.fence),
            state: request.state.clone(),
            change: Mutex::default(),
            deadline: boot_ms().saturating_add(millis(request.deadline)),
            cancel: request.cancel.clone(),
        }
    }

    /// Whether the run may still act in its round's name. Every capability asks before it does anything.
    ///
    /// # Errors
    /// The lease is lost: the error must end the run, not reach the module.
    pub fn check(&self) -> Result<(), LeaseLost> {
        self.lease.check()
    }

    /// The job's text: as it was left, or as this run has set it.
    pub fn state(&self) -> Option<Data> {
        match self.change() {
            Change::Nothing => self.state.clone(),
            Change::To(state) => state,
        }
    }

    /// What the job's text becomes should this run go well.
    pub fn change(&self) -> Change {
        self.change.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the job's text become this should the run go well; none clears it. The last call counts.
    pub fn set_state(&self, state: Option<Data>) {
        *self.change.lock().unwrap_or_else(PoisonError::into_inner) = Change::To(state);
    }

    /// How long the run still has before its deadline.
    pub fn remaining(&self) -> Duration {
        Duration::from_millis(self.deadline.saturating_sub(boot_ms()))
    }

    /// Why the run must stop now, if it must.
    pub(crate) fn stop(&self) -> Option<Stop> {
        if self.lease.check().is_err() {
            Some(Stop::LeaseLost)
        } else if self.cancel.is_cancelled() {
            Some(Stop::Cancelled)
        } else if boot_ms() >= self.deadline {
            Some(Stop::Deadline)
        } else {
            None
        }
    }

    /// Waits until the run must stop.
    pub(super) async fn stopped(&self) -> Stop {
        loop {
            let revoked = self.lease.revoked();
            if let Some(stop) = self.stop() {
                return stop;
            }
            let wait = WATCH.min(self.remaining()).min(self.lease.remaining()).max(Duration::from_millis(1));
            tokio::select! {
                () = self.cancel.cancelled() => {}
                () = revoked => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

#[cfg(test)]
impl Facts {
    /// What is known of some run that may take ten seconds.
    pub(crate) fn of_any_run() -> Self {
        Self::new(&Request {
            job: "canary".to_owned(),
            agent: "agent-1".to_owned(),
            fence: Fence { round: 1000, attempt: 1 },
            due_ms: 1_000_000,
            previous: None,
            state: None,
            deadline: Duration::from_secs(10),
            lease: Lease::unlimited(),
            cancel: CancellationToken::new(),
            settings: Arc::default(),
            invocation: Arc::default(),
            limits: super::Limits::default(),
        })
    }
}
