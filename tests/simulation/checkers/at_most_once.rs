//! Where a job is to be delivered at most once, no round is ever started a second time, whatever happens.

use std::collections::HashMap;

use soloist::round::contender::Delivery;

use super::Checker;
use crate::history::{Happening, Start};
use crate::options::Options;

pub(crate) struct AtMostOnce {
    is_asked_for: bool,
    started: HashMap<u64, Start>,
}

impl AtMostOnce {
    pub(crate) fn new(options: &Options) -> Self {
        Self { is_asked_for: options.delivery == Delivery::AtMostOnce, started: HashMap::new() }
    }
}

impl Checker for AtMostOnce {
    fn name(&self) -> &'static str {
        "at_most_once"
    }

    fn see(&mut self, _: u64, happening: &Happening) -> Result<(), String> {
        let Happening::Started { agent, fence, .. } = happening else { return Ok(()) };
        match self.started.insert(fence.round, *agent) {
            Some(first) if self.is_asked_for => {
                Err(format!("agent {agent} started {fence}, and agent {first} had started that round"))
            }
            _ => Ok(()),
        }
    }
}
