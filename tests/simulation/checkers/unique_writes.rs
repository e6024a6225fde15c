//! No record is ever written twice: a copy of a replacement that is late finds nothing that it could be applied to.
//!
//! Only where a hand deleted the record twice may the first record be written twice, too.

use std::collections::HashSet;

use super::Checker;
use crate::history::Happening;

#[derive(Default)]
pub(crate) struct UniqueWrites {
    written: HashSet<Vec<u8>>,
}

impl Checker for UniqueWrites {
    fn name(&self) -> &'static str {
        "unique_writes"
    }

    fn see(&mut self, _: u64, happening: &Happening) -> Result<(), String> {
        let Happening::Written(written) = happening else { return Ok(()) };
        let is_new = self.written.insert(written.new.encode());
        if is_new || written.is_over_a_hand && written.old.is_none() {
            return Ok(());
        }
        Err(format!("{:?} was written a second time, over {:?}", written.new, written.old))
    }
}
