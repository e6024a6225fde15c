//! What any agent may do is done within a stated time, while the arbiter answers one healthy agent: so no round is lost,
//! however many others crash, hang, or are cut off.
//!
//! The time is [`Options::reaction_ms`]. An agent is healthy while none of its messages is lost, late or refused, and
//! it is not paused, being stopped, or without a module.

use std::collections::BTreeMap;

use soloist::round::{Record, State};

use super::Checker;
use crate::history::{Happening, Start};
use crate::options::{EPOCH, Options};

pub(crate) struct NoRoundWaits {
    reaction_ms: u64,
    every_ms: u64,
    /// Since when each agent is healthy; perhaps in the future.
    healthy: BTreeMap<Start, u64>,
    /// From when what stands may be replaced by anybody.
    open: Option<u64>,
    /// When that is to be looked at.
    look: u64,
    what: String,
}

impl NoRoundWaits {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            reaction_ms: options.reaction_ms(),
            every_ms: options.every * 1000,
            healthy: BTreeMap::new(),
            open: Some(0),
            look: options.reaction_ms(),
            what: "no record".to_owned(),
        }
    }

    fn stands(&mut self, at: u64, record: Option<&Record>, is_a_hands: bool) {
        let may_begin = record.is_none_or(|record| record.paused.is_none() || record.triggered);
        let from = match record {
            None => at,
            Some(record) => {
                // Who knows a later round than a hand does waits for the next one; so does everybody after what is not
                // to be repeated.
                let is_waited_for = is_a_hands || record.state == State::Once;
                let wait = if is_waited_for { 2 * self.every_ms } else { 0 };
                at.max((record.timer.saturating_sub(EPOCH)).saturating_mul(1000)).saturating_add(wait)
            }
        };
        self.open = may_begin.then_some(from);
        self.look = from.saturating_add(self.reaction_ms);
        self.what = format!("{record:?}");
    }

    fn look(&mut self, at: u64) -> Result<(), String> {
        let Some(open) = self.open.filter(|_| at >= self.look) else { return Ok(()) };
        let healthiest = self.healthy.iter().min_by_key(|(_, since)| **since);
        let Some((agent, since)) = healthiest.filter(|(_, since)| **since < u64::MAX) else {
            self.look = at + self.reaction_ms / 4;
            return Ok(());
        };
        let done = open.max(*since).saturating_add(self.reaction_ms);
        if at < done {
            self.look = done;
            return Ok(());
        }
        Err(format!("{} stands since {open} although agent {agent} is healthy since {since}", self.what))
    }
}

impl Checker for NoRoundWaits {
    fn name(&self) -> &'static str {
        "no_round_waits"
    }

    fn see(&mut self, at: u64, happening: &Happening) -> Result<(), String> {
        self.look(at)?;
        match happening {
            Happening::Began { agent, .. } => {
                self.healthy.insert(*agent, at);
            }
            Happening::Gone { agent } => {
                self.healthy.remove(agent);
            }
            Happening::Hindered { agent, until } => {
                if let Some(since) = self.healthy.get_mut(agent) {
                    *since = (*since).max(*until);
                }
            }
            Happening::Written(written) => self.stands(at, Some(&written.new), false),
            Happening::Steered { new, .. } => self.stands(at, Some(new), true),
            Happening::Hand { stands: Ok(record) } => self.stands(at, record.as_ref(), true),
            Happening::Hand { stands: Err(_) } => self.open = None,
            _ => {}
        }
        Ok(())
    }
}
