//! An agent asks the arbiter one thing at a time.

use std::collections::HashSet;

use super::Checker;
use crate::history::{Happening, Start};

#[derive(Default)]
pub(crate) struct OneExchange {
    under_way: HashSet<Start>,
}

impl Checker for OneExchange {
    fn name(&self) -> &'static str {
        "one_exchange"
    }

    fn see(&mut self, _: u64, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Asked { agent, .. } if !self.under_way.insert(*agent) => {
                return Err(format!("agent {agent} asked while another exchange was under way"));
            }
            Happening::Answered { agent } | Happening::Gone { agent } => {
                self.under_way.remove(agent);
            }
            _ => {}
        }
        Ok(())
    }
}
