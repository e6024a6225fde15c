//! What an agent says of its rounds in the log: each thing once, not once a second.

use std::time::{Duration, Instant};

use crate::arbiter::clock::News;
use crate::round::contender::{Halt, Notice};
use crate::round::{Fence, Outcome, Unopened, Unreadable};

/// How often a trouble that lasts is said again.
const REPEAT: Duration = Duration::from_secs(60);

/// The log of one job's rounds.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    /// What the trouble is, and when it was last said.
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
            Notice::OtherModule { held, wanted } => tracing::warn!(
                event = "other-module",
                held,
                wanted,
                "this agent holds the module {held}, and the record wants {wanted}: leaving rounds to agents that hold it"
            ),
            Notice::Paused { reason } => {
                tracing::warn!(
                    event = "paused",
                    reason,
                    "an operator paused the job: no round begins until it is resumed"
                );
            }
            Notice::Resumed => tracing::info!(event = "resumed", "an operator resumed the job"),
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

    /// Says how this machine's clock does.
    pub(super) fn skew(news: News, place: &str) {
        match news {
            News::Off { ahead_ms, within_ms } => {
                let side = if ahead_ms < 0 { "behind" } else { "ahead of" };
                let (by, within) = (seconds(ahead_ms.unsigned_abs()), seconds(within_ms));
                tracing::warn!(
                    event = "skew",
                    ahead_ms,
                    within_ms,
                    "this machine's clock is {by} s {side} the arbiter's at {place}, within {within} s: rounds go by the arbiter's; hint: set the clock, and keep it right with NTP"
                );
            }
            News::Right => {
                tracing::info!(event = "clock", "this machine's clock agrees with the arbiter's at {place} again");
            }
        }
    }

    fn unreadable(&mut self, problem: &Unreadable, place: &str, job: &str) {
        let hint = hint(problem, job);
        let text = format!("nobody runs: the record at {place} cannot be acted on: {problem}; hint: {hint}");
        match problem {
            // How far ahead it is changes with every look.
            Unreadable::FarAhead(_) | Unreadable::RoundFarAhead(_) => self.trouble_named("record", "far ahead", &text),
            _ => self.trouble("record", &text),
        }
    }

    /// Says a trouble when it begins, when it changes, and once a minute while it lasts.
    fn trouble(&mut self, kind: &str, text: &str) {
        self.trouble_named(kind, text, text);
    }

    /// [`Self::trouble`], where the text changes and the trouble does not: `name` tells it from others.
    fn trouble_named(&mut self, kind: &str, name: &str, text: &str) {
        if self.trouble.as_ref().is_some_and(|(last, when)| last == name && when.elapsed() < REPEAT) {
            return;
        }
        tracing::error!(event = "trouble", kind, "{text}");
        self.trouble = Some((name.to_owned(), Instant::now()));
    }

    fn well(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!(event = "recovered", "the trouble is over");
        }
    }
}

/// Milliseconds as people read them: seconds with one digit behind the point, rounded.
fn seconds(ms: u64) -> String {
    let tenths = ms.saturating_add(50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// What to try where a record cannot be acted on.
pub fn hint(problem: &Unreadable, job: &str) -> String {
    let repair = format!("`soloist init {job} --repair` shows what is there and replaces it");
    match problem {
        Unreadable::Unopened(Unopened::NoKey(_)) => {
            "name the file with its key: `keys = [{ file = \"soloist-seal.key\" }]` in `[seal]`".to_owned()
        }
        Unreadable::Unopened(Unopened::OtherKey(_)) => {
            format!("add that key to `keys` in `[seal]`; if it is lost, {repair}")
        }
        Unreadable::Unopened(Unopened::Unsealed) => {
            format!(
                "{repair}; while agents go over to a seal one by one, `accept-unsealed = true` in `[seal]` accepts it"
            )
        }
        Unreadable::Unopened(Unopened::Older { .. }) => {
            format!("if it was put back on purpose, `soloist init {job} --reseal` makes it the newest")
        }
        _ => repair,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_comes_nearer_is_the_same_trouble() {
        let mut reporter = Reporter::default();
        let mut said = |ahead| {
            let notice = Notice::Unreadable(Unreadable::FarAhead(ahead));
            reporter.notice(&notice, 0, "canary.example.com at 192.0.2.1:53", "canary");
            reporter.trouble.as_ref().map(|(_, when)| *when)
        };
        assert_eq!(said(1_000_001), said(1_000_000));
    }
}
