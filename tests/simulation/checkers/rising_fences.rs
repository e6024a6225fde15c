//! The fences that are claimed rise strictly, in the order in which the arbiter applied the claims, whatever a hand did.

use soloist::round::Fence;

use super::Checker;
use crate::history::Happening;

#[derive(Default)]
pub(crate) struct RisingFences {
    highest: Option<Fence>,
}

impl Checker for RisingFences {
    fn name(&self) -> &'static str {
        "rising_fences"
    }

    fn see(&mut self, _: u64, happening: &Happening) -> Result<(), String> {
        let Happening::Written(written) = happening else { return Ok(()) };
        let new = &written.new;
        let is_renewal = written.old.as_ref().is_some_and(|old| {
            old.id == new.id && old.fence == new.fence && old.timerold == new.timerold && old.state.is_running()
        });
        if !new.state.is_running() || is_renewal {
            return Ok(());
        }
        if new.fence <= self.highest {
            return Err(format!("{:?} was claimed after {:?}", new.fence, self.highest));
        }
        self.highest = new.fence;
        Ok(())
    }
}
