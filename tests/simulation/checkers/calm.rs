//! No agent asks the arbiter more often than so many times a second, nor wakes for nothing.

use std::collections::{HashMap, VecDeque};

use super::Checker;
use crate::history::{Happening, Start};

/// The most questions within [`WINDOW_MS`]: two rounds take ten, and the first waits of a trouble twelve. Where an arbiter
/// refuses whatever it holds while some reads are old, each of what is seen is tried, until two reads agree.
const MOST: usize = 60;
const WINDOW_MS: u64 = 1_000;

#[derive(Default)]
pub(crate) struct Calm {
    asked: HashMap<Start, VecDeque<u64>>,
    woken: HashMap<Start, VecDeque<u64>>,
}

impl Checker for Calm {
    fn name(&self) -> &'static str {
        "calm"
    }

    fn see(&mut self, at: u64, happening: &Happening) -> Result<(), String> {
        let (agent, times, what) = match happening {
            Happening::Asked { agent, .. } => (agent, self.asked.entry(*agent).or_default(), "asked"),
            Happening::Woken { agent } => (agent, self.woken.entry(*agent).or_default(), "woke up"),
            _ => return Ok(()),
        };
        times.push_back(at);
        if times.len() <= MOST {
            return Ok(());
        }
        match times.pop_front() {
            Some(first) if at - first < WINDOW_MS => {
                Err(format!("agent {agent} {what} {} times within {} ms", MOST + 1, at - first))
            }
            _ => Ok(()),
        }
    }
}
