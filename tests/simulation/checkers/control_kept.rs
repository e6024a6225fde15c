//! What an operator wrote is obeyed and kept: nothing begins while the job is paused, a trigger is used up by one claim,
//! and no agent's replacement drops a pause, the module that is wanted or the fields of others.

use soloist::round::{Record, State};

use super::Checker;
use crate::history::{Happening, Written};

#[derive(Default)]
pub(crate) struct ControlKept;

fn check(old: &Record, new: &Record) -> Result<(), &'static str> {
    let is_claim = new.state.is_running() && new.fence != old.fence;
    let is_close = new.state == State::Idle && new.id != old.id;
    match () {
        () if new.paused != old.paused => Err("a pause was changed by an agent"),
        () if new.wanted != old.wanted => Err("the module that an operator wants was changed by an agent"),
        () if new.extra != old.extra => Err("the fields of others were changed by an agent"),
        () if is_claim && new.triggered => Err("a trigger was not used up"),
        () if !is_claim && !is_close && new.triggered != old.triggered => Err("a trigger was lost"),
        () if (is_claim || is_close) && old.paused.is_some() && !old.triggered => Err("a paused job was begun"),
        () => Ok(()),
    }
}

impl Checker for ControlKept {
    fn name(&self) -> &'static str {
        "control_kept"
    }

    fn see(&mut self, _: u64, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Written(Written { old: Some(old), new, .. }) => {
                check(old, new).map_err(|problem| format!("{problem}: {new:?} over {old:?}"))
            }
            Happening::Steered { old, new }
                if (&old.id, old.fence, old.state, old.timerold, &old.data)
                    != (&new.id, new.fence, new.state, new.timerold, &new.data) =>
            {
                Err(format!("an operator changed more than is theirs: {new:?} over {old:?}"))
            }
            _ => Ok(()),
        }
    }
}
