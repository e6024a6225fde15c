//! At least once: a round that was claimed goes on until a run of it has ended for good, or until every attempt that was
//! not given back has vanished.
//!
//! Each replacement must be one that the protocol knows, at a time when it may be made. Which rounds may be passed over
//! is `passed_over`'s; that what may be done is done in time is `no_round_waits`'s.

use std::collections::{HashMap, HashSet};

use soloist::round::{Fence, Outcome, Record, Schedule, State};

use super::Checker;
use crate::history::{Happening, Stopped, Written};
use crate::options::{EPOCH, Options};

pub(crate) struct NoRoundLost {
    schedule: Schedule,
    attempts: u32,
    skew_ms: u64,
    started: HashSet<Fence>,
    /// How each run came to its end; `stopped` for those that were.
    ended: HashMap<Fence, Outcome>,
}

impl NoRoundLost {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            schedule: options.schedule(),
            attempts: options.attempts,
            skew_ms: options.skew_ms,
            started: HashSet::new(),
            ended: HashMap::new(),
        }
    }

    fn step(&self, at: u64, old: &Record, new: &Record) -> Result<(), &'static str> {
        let has_come = |second: u64| second * 1000 <= EPOCH * 1000 + at + self.skew_ms;
        let (Some(fence), Some(last)) = (new.fence, old.fence) else { return first(old, new, has_come) };
        if fence == last {
            return self.same_fence(old, new, fence, has_come);
        }
        if !new.state.is_running() {
            return Err("the fence rose without a claim");
        }
        if !has_come(old.timer) {
            return Err("it was claimed before its time");
        }
        if fence.round == last.round {
            return match old.state {
                State::Idle => Err("a round that was over was claimed again"),
                State::Once => Err("a round that is not to be repeated was claimed again"),
                _ if fence.attempt != last.attempt + 1 => Err("an attempt was left out"),
                _ => Ok(()),
            };
        }
        let is_next = match old.state {
            State::Idle => fence.round >= old.timer,
            State::Once => old.triggered || fence.round >= self.schedule.after(last.round),
            _ => return Err("a round was left before its end"),
        };
        match () {
            () if fence.attempt != 1 => Err("a round began with another attempt than the first"),
            () if !is_next => Err("a round was claimed that was not next"),
            () if !has_come(fence.round) => Err("a round was claimed that was not due"),
            () => Ok(()),
        }
    }

    fn same_fence(
        &self,
        old: &Record,
        new: &Record,
        fence: Fence,
        has_come: impl Fn(u64) -> bool,
    ) -> Result<(), &'static str> {
        if new.id != old.id && new.state == State::Idle {
            return match old.state {
                State::Idle | State::Once => Err("a round was closed that was over"),
                _ if !has_come(old.timer) => Err("the round was closed before its time"),
                _ if fence.attempt - old.returned < self.attempts => {
                    Err("the round was closed although there were attempts left")
                }
                _ => Ok(()),
            };
        }
        if new.state == State::Idle && new.returned != 0 {
            return Err("what was given back is counted on in the next round");
        }
        match old.state {
            State::Running | State::Once if new.id == old.id => self.own_claim(old, new, fence),
            State::Running | State::Once => Err("a claim was changed by somebody else"),
            _ => Err("something was written for a fence that was over"),
        }
    }

    fn own_claim(&self, old: &Record, new: &Record, fence: Fence) -> Result<(), &'static str> {
        let is_last = fence.attempt - old.returned >= self.attempts;
        let end = self.ended.get(&fence);
        let has_started = self.started.contains(&fence);
        let may_repeat = old.state == State::Running;
        match new.state {
            State::Once => Err("a claim that is not to be repeated was extended"),
            State::Running if !may_repeat => Err("a claim that is not to be repeated became another one"),
            State::Running if new.timer <= old.timer => Err("a renewal did not extend the lease"),
            State::Running => Ok(()),
            _ if has_started && end.is_none() => Err("a claim was ended while its run went on"),
            State::Free if new.returned != old.returned + 1 => Err("what was given back was not counted"),
            State::Free if has_started && !may_repeat => Err("a run that is not to be repeated was given back"),
            State::Free if end.is_some_and(|outcome| *outcome != Outcome::Stopped) => {
                Err("a claim was given back although its run had ended")
            }
            State::Free => Ok(()),
            _ if end.is_none() => Err("a claim was ended that never ran"),
            _ if end != new.outcome.as_ref() => Err("the end of a run was written as another one"),
            State::Retry if is_last || !may_repeat => Err("there is a retry although there are no attempts left"),
            State::Idle if new.outcome.as_ref().is_some_and(Outcome::is_retryable) && !is_last && may_repeat => {
                Err("a failed round was ended although there were attempts left")
            }
            State::Retry | State::Idle => Ok(()),
        }
    }
}

/// A record without a fence: the first one of all.
fn first(old: &Record, new: &Record, has_come: impl Fn(u64) -> bool) -> Result<(), &'static str> {
    match new.fence {
        Some(Fence { round, attempt: 1 }) if new.state.is_running() && has_come(round) => {
            if has_come(old.timer) {
                Ok(())
            } else {
                Err("it was claimed before its time")
            }
        }
        _ => Err("the first claim is none"),
    }
}

impl Checker for NoRoundLost {
    fn name(&self) -> &'static str {
        "no_round_lost"
    }

    fn see(&mut self, at: u64, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Started { fence, .. } => {
                self.started.insert(*fence);
            }
            Happening::Stopped { fence, how, .. } => {
                let outcome = match how {
                    Stopped::Ended(ended) => ended.outcome.clone(),
                    Stopped::Halted(_) | Stopped::Crashed => Outcome::Stopped,
                };
                self.ended.insert(*fence, outcome);
            }
            Happening::Written(Written { old: Some(old), is_over_a_hand: false, new }) => {
                return self.step(at, old, new).map_err(|problem| format!("{problem}: {new:?} over {old:?}"));
            }
            _ => {}
        }
        Ok(())
    }
}
