//! The records that an agent writes. Each is unlike every record that it or anyone wrote before, because the fence only rises.

use super::verdict::horizon;
use super::{Now, Rules};
use crate::round::{Fence, MAX_ATTEMPT, Outcome, Record, State};

/// The first record of a job: the next due time is next. `last` is a fence that is known to have been claimed, in a
/// record that this one replaces; one so far ahead that it cannot be meant is forgotten.
pub fn first_record(id: &str, rules: &Rules, last: Option<Fence>, now: Now) -> Record {
    let seconds = now.wall_seconds();
    let last = last.filter(|fence| rules.schedule.after(fence.round) <= seconds + horizon(rules, seconds));
    let after = last.map_or(0, |fence| fence.round).max(seconds);
    Record { fence: last, ..Record::new(id, rules.schedule.after(after)) }
}

/// A claim of `fence` over the record `old`: of another attempt at its round, or of a new round.
pub(super) fn claim(old: &Record, fence: Fence, id: &str, module: Option<&str>, rules: &Rules, now: Now) -> Record {
    Record {
        id: id.to_owned(),
        timer: now.wall_seconds_after(rules.lease_ms),
        timerold: now.wall_seconds(),
        fence: Some(fence),
        returned: if fence.attempt > 1 { old.returned } else { 0 },
        state: State::Running,
        outcome: old.outcome.clone(),
        module: module.map(str::to_owned),
        triggered: false,
        ..old.clone()
    }
}

/// The same claim, standing for another lease. `elapsed_ms` is the time since the claim or its last renewal.
pub(super) fn renewal(claim: &Record, elapsed_ms: u64, rules: &Rules, now: Now) -> Record {
    // The wall clock may have been set back in between, and others go by the timer: it moves on as time did. And at least
    // by a second: it would be no other record, and a record that is written is never written again.
    let moved = claim.timer + elapsed_ms.div_ceil(1000).max(1);
    Record { timer: now.wall_seconds_after(rules.lease_ms).max(moved), ..claim.clone() }
}

/// The end of a run: the next due time, or a retry after a backoff of `backoff_ms`.
pub(super) fn end(claim: &Record, outcome: Outcome, backoff_ms: u64, rules: &Rules, now: Now) -> Record {
    let fence = claim.fence.unwrap_or(Fence { round: claim.timerold, attempt: 1 });
    let again = outcome.is_retryable() && has_attempts(claim, rules);
    let (state, timer, returned) = if again {
        (State::Retry, now.wall_seconds_after(backoff_ms), claim.returned)
    } else {
        (State::Idle, rules.schedule.after(fence.round), 0)
    };
    Record { state, timer, returned, outcome: Some(outcome), ..claim.clone() }
}

/// A claim given back: any agent may take the round at once, and it counts as no attempt.
pub(super) fn free(claim: &Record, now: Now) -> Record {
    Record { state: State::Free, timer: now.wall_seconds(), returned: claim.returned + 1, ..claim.clone() }
}

/// Whether the round of this record may be attempted once more.
pub(super) fn has_attempts(record: &Record, rules: &Rules) -> bool {
    record.fence.is_some_and(|fence| {
        fence.attempt < MAX_ATTEMPT && fence.attempt.saturating_sub(record.returned) < rules.attempts
    })
}

/// A round of which every attempt's agent vanished.
pub(super) fn close(old: &Record, fence: Fence, id: &str, rules: &Rules) -> Record {
    Record {
        id: id.to_owned(),
        timer: rules.schedule.after(fence.round),
        returned: 0,
        state: State::Idle,
        outcome: Some(if old.state == State::Retry {
            old.outcome.clone().unwrap_or(Outcome::Lost)
        } else {
            Outcome::Lost
        }),
        ..old.clone()
    }
}
