//! What a record asks an agent to do now: a pure function of the record, the rules and the time.

use super::compose::has_attempts;
use super::{Now, Rules};
use crate::round::{Fence, Observation, Record, State, Unreadable};

/// The record that was seen, if an agent can act on it; none where there is none.
///
/// # Errors
/// What an agent would refuse: more than one TXT record, a value that is no record, a timer that cannot be meant.
pub fn readable(seen: &Observation, rules: &Rules, now: Now) -> Result<Option<Record>, Unreadable> {
    let record = seen.opened(&rules.seal)?;
    if let Some(record) = &record {
        verdict(record, None, rules, now.wall_seconds())?;
    }
    Ok(record)
}

/// What an agent may do with a record that it has just read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing before this second.
    Wait(u64),
    /// Claim this fence.
    Claim(Fence),
    /// Close the round: every attempt's agent vanished.
    Close(Fence),
}

/// What to do with a record at the second `now` (since the Unix epoch), when the highest fence ever seen is `highest`.
///
/// # Errors
/// [`Unreadable::FarAhead`], [`Unreadable::RoundFarAhead`]: the timer or the round cannot be meant.
pub(super) fn verdict(record: &Record, highest: Option<Fence>, rules: &Rules, now: u64) -> Result<Verdict, Unreadable> {
    let horizon = horizon(rules, now);
    let ahead = record.timer.saturating_sub(now);
    if ahead > horizon {
        return Err(Unreadable::FarAhead(ahead));
    }
    let ahead = record.fence.map_or(0, |fence| fence.round.saturating_sub(now));
    if ahead > horizon {
        return Err(Unreadable::RoundFarAhead(ahead));
    }
    if record.fence < highest {
        // Written by a hand, or by an agent that knows no fences: only its timer says anything.
        return Ok(idle(record.timer, highest, rules, now));
    }
    Ok(match (record.state, record.fence) {
        (State::Idle, fence) => idle(record.timer, fence, rules, now),
        _ if now < record.timer => Verdict::Wait(record.timer),
        // A state but idle without a fence does not decode; were one made by hand, its timer alone would count.
        (_, None) => idle(record.timer, None, rules, now),
        (_, Some(fence)) if has_attempts(record, rules) => Verdict::Claim(next_attempt(fence)),
        (_, Some(fence)) => Verdict::Close(fence),
    })
}

/// How far ahead a timer or a round can be meant, in seconds: a day or two turns of the schedule, beside a lease and a backoff.
pub(super) fn horizon(rules: &Rules, now: u64) -> u64 {
    let turn = rules.schedule.gap(now).max(rules.schedule.gap(rules.schedule.after(now)));
    (2 * turn).max(86_400) + (rules.lease_ms + rules.backoff.cap_ms).div_ceil(1000)
}

fn idle(timer: u64, last: Option<Fence>, rules: &Rules, now: u64) -> Verdict {
    if now < timer {
        return Verdict::Wait(timer);
    }
    // Rounds that nobody was up for are run once, as the latest of them.
    let mut round = timer.max(rules.schedule.at_or_before(now));
    if let Some(last) = last
        && round <= last.round
    {
        // A record set back by hand must not set back the fence.
        round = rules.schedule.after(last.round);
        if now < round {
            return Verdict::Wait(round);
        }
    }
    Verdict::Claim(Fence { round, attempt: 1 })
}

const fn next_attempt(fence: Fence) -> Fence {
    Fence { round: fence.round, attempt: fence.attempt.saturating_add(1) }
}
