//! Where all agents are to run the same module, no claim is made by one that holds another module than the record names.

use super::Checker;
use crate::history::{Happening, Written};
use crate::options::Options;

pub(crate) struct SameModule {
    is_asked_for: bool,
}

impl SameModule {
    pub(crate) const fn new(options: &Options) -> Self {
        Self { is_asked_for: options.same_module }
    }
}

impl Checker for SameModule {
    fn name(&self) -> &'static str {
        "same_module"
    }

    fn see(&mut self, _: u64, happening: &Happening) -> Result<(), String> {
        let Happening::Written(Written { old: Some(old), new, .. }) = happening else { return Ok(()) };
        let is_claim = new.state.is_running() && new.fence != old.fence;
        match old.wanted() {
            Some(wanted) if self.is_asked_for && is_claim && new.module.as_deref() != Some(wanted) => {
                Err(format!("`{wanted}` is wanted, and {new:?} was written over {old:?}"))
            }
            _ => Ok(()),
        }
    }
}
