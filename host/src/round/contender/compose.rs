//! The records that an agent writes. Each is unlike every record that it or anyone wrote before, because the fence only rises.

use serde_json::Map;

use super::{Now, Rules};
use crate::round::{Fence, Outcome, Record, State};

/// The first record of a job: the next due time is next. `last` is a fence that is known to have been claimed, in a
/// record that this one replaces.
pub fn first_record(id: &str, rules: &Rules, last: Option<Fence>, now: Now) -> Record {
    let after = last.map_or(0, |fence| fence.round).max(now.wall_seconds());
    Record {
        id: id.to_owned(),
        timer: rules.schedule.after(after),
        timerold: 0,
        fence: last,
        state: State::Idle,
        outcome: None,
        module: None,
        extra: Map::new(),
    }
}

/// A claim of `fence` over the record `old`.
pub(super) fn claim(old: &Record, fence: Fence, id: &str, module: Option<&str>, rules: &Rules, now: Now) -> Record {
    Record {
        id: id.to_owned(),
        timer: now.wall_seconds_after(rules.lease_ms),
        timerold: now.wall_seconds(),
        fence: Some(fence),
        state: State::Running,
        outcome: old.outcome.clone(),
        module: module.map(str::to_owned),
        extra: old.extra.clone(),
    }
}

/// The same claim, standing for another lease.
pub(super) fn renewal(claim: &Record, rules: &Rules, now: Now) -> Record {
    // A renewal within the same second would be no other record, and a record that is written is never written again.
    let timer = now.wall_seconds_after(rules.lease_ms).max(claim.timer + 1);
    Record { timer, ..claim.clone() }
}

/// The end of a run: the next due time, or a retry after a backoff of `backoff_ms`.
pub(super) fn end(claim: &Record, outcome: Outcome, backoff_ms: u64, rules: &Rules, now: Now) -> Record {
    let fence = claim.fence.unwrap_or(Fence { round: claim.timerold, attempt: 1 });
    let again = outcome.is_retryable() && fence.attempt < rules.attempts;
    let (state, timer) = if again {
        (State::Retry, now.wall_seconds_after(backoff_ms))
    } else {
        (State::Idle, rules.schedule.after(fence.round))
    };
    Record { state, timer, outcome: Some(outcome), ..claim.clone() }
}

/// A claim given back: any agent may take the round at once.
pub(super) fn free(claim: &Record, now: Now) -> Record {
    Record { state: State::Free, timer: now.wall_seconds(), ..claim.clone() }
}

/// A round of which every attempt's agent vanished.
pub(super) fn close(old: &Record, fence: Fence, id: &str, rules: &Rules) -> Record {
    Record {
        id: id.to_owned(),
        timer: rules.schedule.after(fence.round),
        state: State::Idle,
        outcome: Some(if old.state == State::Retry {
            old.outcome.clone().unwrap_or(Outcome::Lost)
        } else {
            Outcome::Lost
        }),
        ..old.clone()
    }
}
