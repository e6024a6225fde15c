//! What an agent says of its rounds in the log: each thing once, not once a second.

use std::time::{Duration, Instant};

use crate::round::contender::{Halt, Notice};
use crate::round::{Fence, Outcome, Unreadable};

/// How often a trouble that lasts is said again.
const REPEAT: Duration = Duration::from_secs(60);

/// The log of one job's rounds.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    trouble: Option<(String, Instant)>,
}

impl Reporter {
    /// Says what the contender noticed. `wall_ms` is the time now, and `place` where the record is.
    pub(super) fn notice(&mut self, notice: &Notice, wall_ms: u64, place: &str, job: &str) {
        match notice {
            Notice::Created { due } => tracing::info!(event = "created", due, "created the record at {place}"),
            Notice::Won { fence, from } => {
                self.well();
                let late_ms = wall_ms.saturating_sub(fence.round * 1000);
                let (round, attempt) = (fence.round, fence.attempt);
                if let Some(from) = from {
                    tracing::info!(event = "won", round, attempt, late_ms, from, "took the round over from {from}");
                } else {
                    tracing::info!(event = "won", round, attempt, late_ms, "won the round");
                }
            }
            Notice::Lost { fence } => tracing::debug!(
                event = "lost",
                round = fence.round,
                attempt = fence.attempt,
                "another agent won the round"
            ),
            Notice::Renewed { fence } => {
                tracing::debug!(event = "renewed", round = fence.round, attempt = fence.attempt, "renewed the lease");
            }
            Notice::Finished { fence, outcome, timer, retry } => finished(*fence, outcome, *timer, *retry),
            Notice::Superseded { fence } => tracing::warn!(
                event = "superseded",
                round = fence.round,
                attempt = fence.attempt,
                "the record is another's by now: nothing was written for this attempt"
            ),
            Notice::Freed { fence } => {
                tracing::info!(event = "freed", round = fence.round, attempt = fence.attempt, "gave the round back");
            }
            Notice::Closed { fence } => tracing::error!(
                event = "closed",
                round = fence.round,
                attempts = fence.attempt,
                "closed the round: no attempt at it came to an end"
            ),
            Notice::Unreadable(problem) => self.unreadable(problem, place, job),
            Notice::ReadFailed(reason) => self.trouble("read", &format!("cannot read the record: {reason}")),
            Notice::WriteFailed(reason) => self.trouble("write", &format!("cannot write the record: {reason}")),
            Notice::Unknown(reason) => {
                tracing::info!(event = "unknown", "no word whether the record was written, reading it again: {reason}");
            }
            Notice::NoModule => {
                self.trouble("module", "a round is due, and there is no module to run: leaving it to other agents");
            }
        }
    }

    /// Says why a run was stopped.
    pub(super) fn halt(halt: Halt, fence: Option<Fence>) {
        let (round, attempt) = fence.map_or((0, 0), |fence| (fence.round, fence.attempt));
        let reason = match halt {
            Halt::Lapsed => "its lease ran out before it was renewed",
            Halt::Superseded => "the record is another's by now",
            Halt::Shutdown => "the agent is stopping",
        };
        tracing::warn!(event = "halted", round, attempt, "stopped the run: {reason}");
    }

    fn unreadable(&mut self, problem: &Unreadable, place: &str, job: &str) {
        let hint = format!("`soloist init {job} --repair` shows it and writes a new one");
        self.trouble(
            "record",
            &format!("nobody runs: the record at {place} cannot be acted on: {problem}; hint: {hint}"),
        );
    }

    /// Says a trouble when it begins, when it changes, and once a minute while it lasts.
    fn trouble(&mut self, kind: &str, text: &str) {
        if self.trouble.as_ref().is_some_and(|(last, when)| last == text && when.elapsed() < REPEAT) {
            return;
        }
        tracing::error!(event = "trouble", kind, "{text}");
        self.trouble = Some((text.to_owned(), Instant::now()));
    }

    fn well(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!(event = "recovered", "the trouble is over");
        }
    }
}

fn finished(fence: Fence, outcome: &Outcome, timer: u64, retry: bool) {
    let (round, attempt) = (fence.round, fence.attempt);
    if retry {
        tracing::warn!(event = "finished", round, attempt, %outcome, timer, retry, "the attempt failed ({outcome}): retried from {timer} on");
    } else if outcome.is_ok() {
        tracing::info!(event = "finished", round, attempt, %outcome, timer, retry, "the round is done");
    } else {
        tracing::error!(event = "finished", round, attempt, %outcome, timer, retry, "the round failed ({outcome})");
    }
}
