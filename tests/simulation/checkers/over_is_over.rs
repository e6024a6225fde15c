//! A round of which the end was written over its claim, or a later one's, is never run again.
//!
//! Where a hand deletes the record of a run under way, the one that is created in its place ends nothing.

use soloist::round::State;

use super::Checker;
use crate::history::Happening;

#[derive(Default)]
pub(crate) struct OverIsOver {
    /// The highest round that was over.
    over: Option<u64>,
}

impl Checker for OverIsOver {
    fn name(&self) -> &'static str {
        "over_is_over"
    }

    fn see(&mut self, _: u64, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Written(written) if written.new.state == State::Idle && !written.is_over_a_hand => {
                self.over = self.over.max(written.new.fence.map(|fence| fence.round));
            }
            Happening::Started { agent, fence, .. } if Some(fence.round) <= self.over => {
                return Err(format!("agent {agent} started {fence}, and round {:?} was over", self.over));
            }
            _ => {}
        }
        Ok(())
    }
}
