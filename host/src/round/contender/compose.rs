//! The records that an agent writes. Each is unlike every record that it or anyone wrote before, because the fence only rises.

use super::verdict::horizon;
use super::{Delivery, Ended, Now, Rules};
use crate::round::{Change, Fence, MAX_ATTEMPT, MAX_TIME, Outcome, Record, State};

/// The first record of a job: the next due time is next. `last` is a fence that is known to have been claimed, in a
/// record that this one replaces; one so far ahead that it cannot be meant is forgotten.
pub fn first_record(id: &str, rules: &Rules, last: Option<Fence>, now: Now) -> Record {
    let seconds = now.wall_seconds();
    let last = last.filter(|fence| rules.schedule.after(fence.round) <= seconds + horizon(rules, seconds));
    let after = last.map_or(0, |fence| fence.round).max(seconds);
    Record { fence: last, ..Record::new(id, due_after(after, rules)) }
}

/// The next due time, as far as calendars go: a time beyond is none that a record can have.
fn due_after(time: u64, rules: &Rules) -> u64 {
    rules.schedule.after(time).min(MAX_TIME - 1)
}

/// When a claim or renewal that is asked for now ends: a whole second, on the record; and on the monotonic clock, the
/// same moment, so that the holder is done when the first of the others may begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub(super) until: u64,
    pub(super) until_ms: u64,
}

impl Lease {
    pub(super) const fn from(now: Now, rules: &Rules) -> Self {
        let until = now.wall_seconds_within(rules.lease_ms);
        Self { until, until_ms: now.mono_at(until) }
    }

    /// The next lease of a claim. `old_ms` is when its last one ends, on the monotonic clock.
    pub(super) fn again(claim: &Record, old_ms: u64, rules: &Rules, now: Now) -> Self {
        // The wall clock may have been set back in between, and others go by the timer: it moves on as time did. And at
        // least by a second: it would be no other record, and a record that is written is never written again.
        let moved_ms = (now.mono_ms + rules.lease_ms).saturating_sub(old_ms);
        let until = now.wall_seconds_within(rules.lease_ms).max(claim.timer + (moved_ms / 1000).max(1));
        let until_ms = old_ms + (until - claim.timer) * 1000;
        Self { until, until_ms: until_ms.min(now.mono_ms + rules.lease_ms) }
    }
}

/// A claim of `fence` over the record `old`: of another attempt at its round, or of a new round.
pub(super) fn claim(
    old: &Record,
    fence: Fence,
    id: &str,
    module: Option<&str>,
    lease: Lease,
    rules: &Rules,
    now: Now,
) -> Record {
    let (state, timer) = match rules.delivery {
        Delivery::AtLeastOnce => (State::Running, lease.until),
        // Should we vanish, the next round is next; but not while we may run.
        Delivery::AtMostOnce => (State::Once, lease.until.max(due_after(fence.round, rules))),
    };
    Record {
        id: id.to_owned(),
        timer,
        timerold: now.wall_seconds(),
        fence: Some(fence),
        returned: if fence.attempt > 1 { old.returned } else { 0 },
        state,
        // The agent of a run that is not to be repeated vanished.
        outcome: if old.state == State::Once { Some(Outcome::Lost) } else { old.outcome.clone() },
        module: module.map(str::to_owned),
        triggered: false,
        ..old.clone()
    }
}

/// The same claim, standing for another lease.
pub(super) fn renewal(claim: &Record, lease: Lease) -> Record {
    Record { timer: lease.until, ..claim.clone() }
}

/// What we were to write over our claim, now that an operator has steered the job in between. What a run changed stays changed.
pub(super) fn steered(record: &Record, claim: &Record, seen: &Record) -> Record {
    Record {
        paused: seen.paused.clone(),
        triggered: seen.triggered,
        wanted: seen.wanted.clone(),
        data: if record.data == claim.data { seen.data.clone() } else { record.data.clone() },
        extra: seen.extra.clone(),
        ..record.clone()
    }
}

/// Whether the record is still the claim that we made, whatever an operator wrote beside it.
pub(super) fn is_same_claim(claim: &Record, seen: &Record) -> bool {
    seen.state.is_running()
        && (&claim.id, claim.fence, claim.state, claim.timer, claim.timerold, claim.returned)
            == (&seen.id, seen.fence, seen.state, seen.timer, seen.timerold, seen.returned)
}

/// The end of a run: the next due time, or a retry after a backoff of `backoff_ms`. Only a run that went well changes the job's text.
pub(super) fn end(claim: &Record, ended: Ended, backoff_ms: u64, rules: &Rules, now: Now) -> Record {
    let Ended { outcome, change } = ended;
    let fence = claim.fence.unwrap_or(Fence { round: claim.timerold, attempt: 1 });
    let again = outcome.is_retryable() && has_attempts(claim, rules);
    let (state, timer, returned) = if again {
        (State::Retry, now.wall_seconds_after(backoff_ms), claim.returned)
    } else {
        (State::Idle, due_after(fence.round, rules), 0)
    };
    let data = match change {
        Change::To(data) if outcome.is_ok() => data,
        Change::To(_) | Change::Nothing => claim.data.clone(),
    };
    Record { state, timer, returned, data, outcome: Some(outcome), ..claim.clone() }
}

/// A claim given back: any agent may take the round at once, and it counts as no attempt.
pub(super) fn free(claim: &Record, now: Now) -> Record {
    // A hand may have written that more was given back than there is.
    let attempts = claim.fence.map_or(0, |fence| fence.attempt);
    let returned = claim.returned.saturating_add(1).min(attempts);
    Record { state: State::Free, timer: now.wall_seconds(), returned, ..claim.clone() }
}

/// Whether the round of this record may be attempted once more.
pub(super) fn has_attempts(record: &Record, rules: &Rules) -> bool {
    let may_repeat = rules.delivery == Delivery::AtLeastOnce || record.state == State::Free;
    may_repeat
        && record.state != State::Once
        && record.fence.is_some_and(|fence| {
            fence.attempt < MAX_ATTEMPT && fence.attempt.saturating_sub(record.returned) < rules.attempts
        })
}

/// A round of which every attempt's agent vanished.
pub(super) fn close(old: &Record, fence: Fence, id: &str, rules: &Rules) -> Record {
    Record {
        id: id.to_owned(),
        timer: due_after(fence.round, rules),
        returned: 0,
        state: State::Idle,
        triggered: false,
        outcome: Some(if old.state == State::Retry {
            old.outcome.clone().unwrap_or(Outcome::Lost)
        } else {
            Outcome::Lost
        }),
        ..old.clone()
    }
}
