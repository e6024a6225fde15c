//! At least once: a round that was claimed goes on until a run of it has ended for good, or until every attempt that was
//! not given back has vanished; and only rounds that were missed are passed over.
//!
//! Each replacement must be one that the protocol knows, at a time when it may be made.

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
        if new.state != State::Running {
            return Err("the fence rose without a claim");
        }
        if !has_come(old.timer) {
            return Err("it was claimed before its time");
        }
        if fence.round == last.round {
            return match old.state {
                State::Idle => Err("a round that was over was claimed again"),
                _ if fence.attempt != last.attempt + 1 => Err("an attempt was left out"),
                _ => Ok(()),
            };
        }
        match old.state {
            State::Idle if fence.attempt != 1 => Err("a round began with another attempt than the first"),
            State::Idle if fence.round < old.timer => Err("a round was claimed that was not next"),
            State::Idle if !has_come(fence.round) => Err("a round was claimed that was not due"),
            State::Idle => Ok(()),
            _ => Err("a round was left before its end"),
        }
    }

    fn same_fence(
        &self,
        old: &Record,
        new: &Record,
        fence: Fence,
        has_come: impl Fn(u64) -> bool,
    ) -> Result<(), &'static str> {
        if old.state != State::Running {
            return Err("something was written for a fence that was over");
        }
        if new.state == State::Idle && new.timer != self.schedule.after(fence.round) {
            return Err("the next round is not the next one");
        }
        let is_last = fence.attempt - old.returned >= self.attempts;
        let end = self.ended.get(&fence);
        let has_run_on = self.started.contains(&fence) && end.is_none();
        if new.id != old.id {
            return match new.state {
                State::Idle if !has_come(old.timer) => Err("the round was closed before the lease had ended"),
                State::Idle if !is_last => Err("the round was closed although there were attempts left"),
                State::Idle => Ok(()),
                _ => Err("a claim was changed by somebody else"),
            };
        }
        match new.state {
            State::Once => Err("a run that is not to be repeated, among those that are"),
            State::Running if new.timer <= old.timer => Err("a renewal did not extend the lease"),
            State::Running => Ok(()),
            _ if has_run_on => Err("a claim was ended while its run went on"),
            State::Free if new.returned != old.returned + 1 => Err("what was given back was not counted"),
            State::Free if end.is_some_and(|outcome| *outcome != Outcome::Stopped) => {
                Err("a claim was given back although its run had ended")
            }
            State::Free => Ok(()),
            _ if end.is_none() => Err("a claim was ended that never ran"),
            _ if end != new.outcome.as_ref() => Err("the end of a run was written as another one"),
            State::Retry if is_last => Err("there is a retry although there are no attempts left"),
            State::Idle if new.outcome.as_ref().is_some_and(Outcome::is_retryable) && !is_last => {
                Err("a failed round was ended although there were attempts left")
            }
            State::Retry | State::Idle => Ok(()),
        }
    }
}

/// A record without a fence: the first one of all.
fn first(old: &Record, new: &Record, has_come: impl Fn(u64) -> bool) -> Result<(), &'static str> {
    match new.fence {
        Some(Fence { round, attempt: 1 }) if new.state == State::Running && has_come(round) => {
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
                    Stopped::Ended(outcome) => outcome.clone(),
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
