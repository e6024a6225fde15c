//! When nothing goes wrong any more, every round is run on time again, within the bound that the options state.

use super::Checker;
use crate::history::Happening;
use crate::options::{EPOCH, Options};

/// So many rounds on time in a row show it.
const ENOUGH: u32 = 4;

pub(crate) struct Progress {
    every: u64,
    lateness_ms: u64,
    skew_ms: u64,
    healed: Option<u64>,
    last: u64,
    in_a_row: u32,
}

impl Progress {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            every: options.every,
            lateness_ms: options.lateness_ms(),
            skew_ms: options.skew_ms,
            healed: None,
            last: 0,
            in_a_row: 0,
        }
    }
}

impl Checker for Progress {
    fn name(&self) -> &'static str {
        "progress"
    }

    fn see(&mut self, at: u64, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Healed => self.healed = Some(at),
            Happening::Started { fence, .. } if self.healed.is_some() && !self.is_content() => {
                let due = (fence.round - EPOCH) * 1000;
                let is_on_time = fence.attempt == 1 && due <= at + self.skew_ms && at <= due + self.lateness_ms;
                let is_next = fence.round == self.last + self.every;
                self.in_a_row = match (is_on_time, is_next) {
                    (true, true) => self.in_a_row + 1,
                    (true, false) => 1,
                    (false, _) => 0,
                };
                self.last = fence.round;
            }
            _ => {}
        }
        Ok(())
    }

    fn is_content(&self) -> bool {
        self.in_a_row >= ENOUGH
    }

    fn end(&mut self) -> Result<(), String> {
        if self.is_content() {
            return Ok(());
        }
        Err(format!(
            "since {:?} only {} rounds in a row were on time, the last one {}",
            self.healed, self.in_a_row, self.last
        ))
    }
}
