//! A due time is passed over only where the rules for missed rounds say so: there are newer ones, as many as are made
//! up for, or it is later than a round may begin. And no round begins of which the rules say that it is to be left out.

use std::collections::HashMap;

use soloist::round::{Fence, Record, State};

use super::Checker;
use crate::history::{Happening, Start, Written};
use crate::options::{EPOCH, Options};

pub(crate) struct PassedOver {
    every: u64,
    /// So many of the latest rounds are made up for.
    most: u64,
    /// So late may a round begin.
    deadline: Option<u64>,
    /// By how much the clocks differ, and what a whole second leaves open.
    slack: u64,
    agents: HashMap<String, Start>,
    /// When the last claim of an agent was asked for the first time.
    asked: HashMap<Start, (u64, Record)>,
}

impl PassedOver {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            every: options.every,
            most: options.made_up_for(),
            deadline: options.latest_start(),
            slack: options.skew_ms.div_ceil(1000) + 1,
            agents: HashMap::new(),
            asked: HashMap::new(),
        }
    }

    /// How many due times there are from `first` to `last`.
    fn due(&self, first: u64, last: u64) -> u64 {
        (last / self.every).saturating_sub(first.saturating_sub(1) / self.every)
    }

    fn claimed(&self, asked: u64, old: &Record, last: Fence, round: u64) -> Result<(), String> {
        let (earliest, latest) = (asked - self.slack, asked + self.slack);
        if self.due(round, earliest) > self.most {
            return Err(format!("round {round} began, although {} newer ones were due", self.due(round, earliest) - 1));
        }
        if self.deadline.is_some_and(|deadline| round + deadline < earliest) {
            return Err(format!("round {round} began at {asked}, later than it may"));
        }
        // The latest one that was passed over: what holds for it holds for those before.
        let before = (round - 1) / self.every * self.every;
        let was_next = if old.state == State::Once { last.round + 1 } else { old.timer };
        let is_newer_than = self.due(before, latest) > self.most;
        let is_too_late = self.deadline.is_some_and(|deadline| before + deadline < latest);
        if before >= was_next && !is_newer_than && !is_too_late {
            return Err(format!("round {before} was passed over for {round} at {asked}"));
        }
        Ok(())
    }
}

impl Checker for PassedOver {
    fn name(&self) -> &'static str {
        "passed_over"
    }

    fn see(&mut self, at: u64, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Began { agent, id } => {
                self.agents.insert(id.clone(), *agent);
            }
            Happening::Asked { agent, replacement: Some(claim) } if claim.state.is_running() => {
                let asked = self.asked.entry(*agent).or_insert_with(|| (at, claim.clone()));
                if asked.1 != *claim {
                    *asked = (at, claim.clone());
                }
            }
            Happening::Written(Written { old: Some(old), is_over_a_hand: false, new }) => {
                let (Some(last), Some(fence)) = (old.fence, new.fence) else { return Ok(()) };
                let is_scheduled = fence.round > last.round && !old.triggered;
                let asked = self.agents.get(&new.id).and_then(|agent| self.asked.get(agent));
                let Some((asked, _)) = asked.filter(|(_, asked)| is_scheduled && asked == new) else {
                    return Ok(());
                };
                return self
                    .claimed(EPOCH + asked / 1000, old, last, fence.round)
                    .map_err(|problem| format!("{problem}: {new:?} over {old:?}"));
            }
            _ => {}
        }
        Ok(())
    }
}
