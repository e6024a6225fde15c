//! A run has stopped, by itself or because its lease lapsed on its agent's clock, before the next one starts: another
//! attempt of the same round, or another round.
//!
//! The bound: runs overlap by no more than the clocks differ by which the agents go ([`Options::skew_ms`]): not at all where
//! they agree; by what wall clocks differ where the arbiter's clock cannot tell; and where they are wild by twice a second,
//! 20 ms and the time of an exchange, which is what the arbiter's clock leaves open. A hand that writes another record lets
//! the next round start beside a run that cannot know of it yet, but never another attempt of the same round.

use soloist::round::Fence;

use super::Checker;
use crate::history::{Happening, Start};
use crate::options::Options;

pub(crate) struct NoOverlap {
    skew_ms: u64,
    active: Vec<Active>,
    /// The highest round that was claimed.
    claimed: Option<u64>,
    /// And that was so when a hand last was at work.
    before_a_hand: Option<u64>,
}

struct Active {
    agent: Start,
    fence: Fence,
    lease_until: u64,
}

impl NoOverlap {
    pub(crate) fn new(options: &Options) -> Self {
        Self { skew_ms: options.skew_ms, active: Vec::new(), claimed: None, before_a_hand: None }
    }

    fn check(&self, at: u64, agent: Start) -> Result<(), String> {
        let acts = |run: &&Active| run.lease_until > at + self.skew_ms;
        let Some(this) = self.active.iter().find(|run| run.agent == agent).filter(acts) else { return Ok(()) };
        for other in self.active.iter().filter(|run| run.agent != agent).filter(acts) {
            let lower = this.fence.round.min(other.fence.round);
            let is_excused = this.fence.round != other.fence.round && Some(lower) <= self.before_a_hand;
            if !is_excused {
                return Err(format!(
                    "{} by agent {} acts until {} beside {} by agent {agent}, which acts until {}",
                    other.fence, other.agent, other.lease_until, this.fence, this.lease_until
                ));
            }
        }
        Ok(())
    }
}

impl Checker for NoOverlap {
    fn name(&self) -> &'static str {
        "no_overlap"
    }

    fn see(&mut self, at: u64, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Started { agent, fence, lease_until, .. } => {
                self.active.push(Active { agent: *agent, fence: *fence, lease_until: *lease_until });
                self.check(at, *agent)
            }
            Happening::Extended { agent, lease_until } => {
                for run in self.active.iter_mut().filter(|run| run.agent == *agent && run.lease_until > at) {
                    run.lease_until = *lease_until;
                }
                self.check(at, *agent)
            }
            Happening::Stopped { agent, .. } => {
                self.active.retain(|run| run.agent != *agent);
                Ok(())
            }
            Happening::Written(written) => {
                self.claimed = self.claimed.max(written.new.fence.map(|fence| fence.round));
                Ok(())
            }
            Happening::Hand { .. } => {
                self.before_a_hand = self.claimed;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
