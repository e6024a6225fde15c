//! A run is stopped for another's sake only when its claim is no more, and an attempt is left to others only by an agent
//! that was hindered: gone, paused, cut off, or its run outlived its lease.
//!
//! So an agent that won and was told otherwise notices it, and does not leave the round to the end of its lease. A
//! request that arrived twice hinders nobody.

use std::collections::HashMap;

use soloist::round::contender::Halt;
use soloist::round::{Fence, Record};

use super::Checker;
use crate::history::{Happening, Start, Stopped, Written};
use crate::options::Options;

pub(crate) struct NothingAbandoned {
    skew_ms: u64,
    agents: HashMap<String, Start>,
    hindered: HashMap<Start, u64>,
    asked: HashMap<Start, (u64, Record)>,
    /// When who has asked for the end of which fence.
    ending: HashMap<Start, (u64, Fence)>,
    /// How long an end may be on its way.
    on_its_way_ms: u64,
    /// What stands, unless a hand wrote it.
    stands: Option<Record>,
    /// When the claim that stands was asked for.
    claimed: u64,
}

impl NothingAbandoned {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            skew_ms: options.skew_ms,
            on_its_way_ms: options.timeout_ms + 4 * options.slow_ms,
            agents: HashMap::new(),
            hindered: HashMap::new(),
            asked: HashMap::new(),
            ending: HashMap::new(),
            stands: None,
            claimed: 0,
        }
    }

    fn superseded(&self, agent: Start, fence: Fence) -> Result<(), String> {
        let is_hindered = self.hindered.get(&agent).is_some_and(|at| *at >= self.claimed);
        match &self.stands {
            Some(claim)
                if claim.state.is_running()
                    && claim.fence == Some(fence)
                    && self.agents.get(&claim.id) == Some(&agent)
                    && !is_hindered =>
            {
                Err(format!(
                    "agent {agent} stopped the run of {fence} for another's sake, and its claim stands: {claim:?}"
                ))
            }
            _ => Ok(()),
        }
    }

    fn written(&mut self, at: u64, written: &Written) -> Result<(), String> {
        let Written { old, is_over_a_hand, new } = written;
        let claimed = self.claimed;
        if let Some((at, record)) = self.agents.get(&new.id).and_then(|agent| self.asked.get(agent))
            && record == new
        {
            self.claimed = *at;
        }
        let Some(old) = old.as_ref().filter(|old| old.state.is_running() && old.id != new.id) else {
            return Ok(());
        };
        // Its end was on its way while the lease ended.
        let ending = self.agents.get(&old.id).and_then(|agent| self.ending.get(agent)).copied();
        if ending.is_some_and(|(asked, fence)| Some(fence) == old.fence && at <= asked + self.on_its_way_ms) {
            return Ok(());
        }
        let hindered = self.agents.get(&old.id).and_then(|agent| self.hindered.get(agent)).copied();
        // Clocks that differ end a lease before its agent thinks so.
        if *is_over_a_hand || self.skew_ms > 0 || hindered.is_some_and(|at| at >= claimed) {
            return Ok(());
        }
        Err(format!("`{}` lives and did not end {old:?}: {new:?} was written over it", old.id))
    }
}

impl Checker for NothingAbandoned {
    fn name(&self) -> &'static str {
        "nothing_abandoned"
    }

    fn see(&mut self, at: u64, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Began { agent, id } => {
                self.agents.insert(id.clone(), *agent);
            }
            Happening::Asked { agent, replacement: Some(record) } if record.state.is_running() => {
                // The first time counts: what is asked again identically may be applied late.
                let asked = self.asked.entry(*agent).or_insert_with(|| (at, record.clone()));
                if asked.1 != *record {
                    *asked = (at, record.clone());
                }
            }
            Happening::Asked { agent, replacement: Some(Record { fence: Some(fence), .. }) } => {
                self.ending.insert(*agent, (at, *fence));
            }
            Happening::Gone { agent }
            | Happening::Hindered { agent, .. }
            | Happening::Stopped { agent, how: Stopped::Halted(Halt::Lapsed | Halt::Shutdown), .. } => {
                self.hindered.insert(*agent, at);
            }
            Happening::Stopped { agent, fence, how: Stopped::Halted(Halt::Superseded) } => {
                return self.superseded(*agent, *fence);
            }
            // Steering leaves a hand's record a hand's.
            Happening::Steered { new, .. } if self.stands.is_some() => self.stands = Some(new.clone()),
            Happening::Hand { .. } => self.stands = None,
            Happening::Written(written) => {
                self.stands = Some(written.new.clone());
                return self.written(at, written);
            }
            _ => {}
        }
        Ok(())
    }
}
