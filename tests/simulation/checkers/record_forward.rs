//! A record never goes backwards: no replacement lowers its fence, unless a hand was at work.

use super::Checker;
use crate::history::Happening;

#[derive(Default)]
pub(crate) struct RecordForward;

impl Checker for RecordForward {
    fn name(&self) -> &'static str {
        "record_forward"
    }

    fn see(&mut self, _: u64, happening: &Happening) -> Result<(), String> {
        if let Happening::Written(written) = happening
            && let Some(old) = &written.old
            && !written.is_over_a_hand
            && written.new.fence < old.fence
        {
            return Err(format!("{:?} was written over {old:?}", written.new));
        }
        Ok(())
    }
}
