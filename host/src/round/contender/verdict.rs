//! What a record asks an agent to do now: a pure function of the record, the rules and the time.

use super::compose::has_attempts;
use super::{Missed, Now, Rules, SKIP_AFTER_MS};
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

/// Whether the record asks an agent to do something now: to claim a round or to close one.
pub fn is_wanted(record: &Record, rules: &Rules, now: Now) -> bool {
    matches!(verdict(record, None, rules, now.wall_seconds()), Ok(Verdict::Claim(_) | Verdict::Close(_)))
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
    if now < record.timer {
        return Ok(Verdict::Wait(record.timer));
    }
    if record.paused.is_some() && !record.triggered {
        return Ok(Verdict::Wait(u64::MAX));
    }
    if record.fence < highest {
        // Written by a hand, or by an agent that knows no fences: only its timer says anything.
        return Ok(next_round(record, record.timer, highest, rules, now));
    }
    Ok(match (record.state, record.fence) {
        (State::Idle, fence) => next_round(record, record.timer, fence, rules, now),
        // The round is not repeated. Its timer may be the end of its lease, and no due time.
        (State::Once, Some(fence)) => next_round(record, rules.schedule.after(fence.round), Some(fence), rules, now),
        // A state but idle without a fence does not decode; were one made by hand, its timer alone would count.
        (_, None) => next_round(record, record.timer, None, rules, now),
        (_, Some(fence)) if has_attempts(record, rules) => Verdict::Claim(next_attempt(fence)),
        (_, Some(fence)) => Verdict::Close(fence),
    })
}

/// How far ahead a timer or a round can be meant, in seconds: a day or two turns of the schedule, beside a lease and a backoff.
pub(super) fn horizon(rules: &Rules, now: u64) -> u64 {
    let turn = rules.schedule.gap(now).max(rules.schedule.gap(rules.schedule.after(now)));
    (2 * turn).max(86_400) + (rules.lease_ms + rules.backoff.cap_ms).div_ceil(1000)
}

/// The next round of a record whose last one is over, where `due` is its due time.
fn next_round(record: &Record, due: u64, last: Option<Fence>, rules: &Rules, now: u64) -> Verdict {
    let last = last.map(|last| last.round);
    let round = if record.triggered {
        // Without a fence, the last round is no later than the time at which it began.
        record.timer.max(last.unwrap_or(0).max(record.fence.map_or(record.timerold, |fence| fence.round)) + 1)
    } else {
        scheduled(due, last, rules, now)
    };
    if round <= now { Verdict::Claim(Fence { round, attempt: 1 }) } else { Verdict::Wait(round) }
}

/// The round to run now, or the next one, by the schedule.
fn scheduled(due: u64, last: Option<u64>, rules: &Rules, now: u64) -> u64 {
    let schedule = &rules.schedule;
    let mut round = schedule.at_or_before(now);
    if let Missed::CatchUp { most } = rules.missed {
        for _ in 1..most {
            if round <= due {
                break;
            }
            round = schedule.at_or_before(round - 1);
        }
    }
    round = round.max(due);
    if let Some(last) = last
        && round <= last
    {
        // A record set back by hand must not set back the fence.
        round = schedule.after(last);
    }
    let earliest = start_deadline(rules).map_or(0, |deadline| now.saturating_sub(deadline));
    if round < earliest { schedule.after(earliest - 1) } else { round }
}

/// How late a round may begin, in seconds.
fn start_deadline(rules: &Rules) -> Option<u64> {
    let skipped = (rules.missed == Missed::Skip).then_some(SKIP_AFTER_MS);
    rules.start_deadline_ms.or(skipped).map(|deadline| deadline / 1000)
}

const fn next_attempt(fence: Fence) -> Fence {
    Fence { round: fence.round, attempt: fence.attempt.saturating_add(1) }
}
