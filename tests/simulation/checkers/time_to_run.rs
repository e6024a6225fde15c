//! A run that is started has half of its lease before it: a claim that was won too late is given back instead.

use super::Checker;
use crate::history::Happening;
use crate::options::Options;

pub(crate) struct TimeToRun {
    least_ms: u64,
}

impl TimeToRun {
    pub(crate) const fn new(options: &Options) -> Self {
        // A lease ends with a whole second, so it may be shorter by one.
        Self { least_ms: options.lease_ms.saturating_sub(1_000) / 2 }
    }
}

impl Checker for TimeToRun {
    fn name(&self) -> &'static str {
        "time_to_run"
    }

    fn see(&mut self, at: u64, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Started { agent, fence, lease_until, .. } if *lease_until < at + self.least_ms => {
                Err(format!("agent {agent} started {fence} with a lease until {lease_until}"))
            }
            _ => Ok(()),
        }
    }
}
