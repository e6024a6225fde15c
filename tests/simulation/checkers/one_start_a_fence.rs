//! A fence is started once, ever, and only by the agent whose claim of it was applied.

use std::collections::{HashMap, HashSet};

use soloist::round::Fence;

use super::Checker;
use crate::history::{Happening, Start};

#[derive(Default)]
pub(crate) struct OneStartAFence {
    ids: HashMap<Start, String>,
    claimed: HashSet<(Fence, String)>,
    started: HashMap<Fence, Start>,
}

impl Checker for OneStartAFence {
    fn name(&self) -> &'static str {
        "one_start_a_fence"
    }

    fn see(&mut self, _: u64, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Began { agent, id } => {
                self.ids.insert(*agent, id.clone());
            }
            Happening::Written(written) if written.new.state.is_running() => {
                self.claimed.extend(written.new.fence.map(|fence| (fence, written.new.id.clone())));
            }
            Happening::Started { agent, fence, .. } => {
                let id = self.ids.get(agent).cloned().unwrap_or_default();
                if !self.claimed.contains(&(*fence, id)) {
                    return Err(format!("agent {agent} started {fence}, which it never claimed"));
                }
                if let Some(first) = self.started.insert(*fence, *agent) {
                    return Err(format!("agent {agent} started {fence}, which agent {first} had started"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
