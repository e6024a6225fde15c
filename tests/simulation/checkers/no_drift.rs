//! A schedule never drifts: whatever happened, the rounds that are claimed are due times of the schedule, and so are the
//! due times that are written; but for what a hand or an operator asked for.

use soloist::round::State;

use super::Checker;
use crate::history::{Happening, Written};
use crate::options::Options;

pub(crate) struct NoDrift {
    every: u64,
}

impl NoDrift {
    pub(crate) const fn new(options: &Options) -> Self {
        Self { every: options.every }
    }
}

impl Checker for NoDrift {
    fn name(&self) -> &'static str {
        "no_drift"
    }

    fn see(&mut self, _: u64, happening: &Happening) -> Result<(), String> {
        let Happening::Written(Written { old, is_over_a_hand, new }) = happening else { return Ok(()) };
        let old = old.as_ref();
        if new.state == State::Idle && !new.timer.is_multiple_of(self.every) {
            return Err(format!("{} is written as a due time, and is none: {new:?} over {old:?}", new.timer));
        }
        let is_asked_for = *is_over_a_hand || old.is_some_and(|old| old.triggered);
        let rises = new.fence.map(|fence| fence.round) > old.and_then(|old| old.fence).map(|fence| fence.round);
        match new.fence {
            Some(fence) if rises && !is_asked_for && !fence.round.is_multiple_of(self.every) => {
                Err(format!("round {} is none of the schedule's: {new:?} over {old:?}", fence.round))
            }
            _ => Ok(()),
        }
    }
}
