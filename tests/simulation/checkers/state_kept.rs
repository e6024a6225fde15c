//! The job's text is what the last run that went well left: each run is handed what stands in its claim, its end alone
//! changes it, and only if it went well. No update is lost: every run counts on by one, so the text is the number of ends that
//! were written since a hand was at work.

use std::collections::HashMap;

use soloist::round::contender::Ended;
use soloist::round::{Change, Data, Fence, Outcome, Record};

use super::Checker;
use crate::history::{Happening, Start, Stopped, Written};

#[derive(Default)]
pub(crate) struct StateKept {
    agents: HashMap<String, Start>,
    /// What the claim of a fence says, by whom it was made.
    claimed: HashMap<(Start, Fence), Option<Data>>,
    /// How runs ended; those that were stopped did not.
    ended: HashMap<(Start, Fence), Ended>,
    /// What the text must be.
    count: u64,
}

/// The number that the text is.
pub(crate) fn number(data: Option<&Data>) -> u64 {
    data.map_or(0, |data| data.as_str().parse().expect("a run writes a number"))
}

impl StateKept {
    fn written(&mut self, old: Option<&Record>, new: &Record) -> Result<(), &'static str> {
        let Some(old) = old else {
            self.count = 0;
            return if new.data.is_none() { Ok(()) } else { Err("a record began with a text") };
        };
        let run = self.agents.get(&new.id).copied().zip(new.fence);
        let is_own = new.id == old.id && new.fence == old.fence && old.state.is_running();
        if let Some(run) = run.filter(|_| new.state.is_running() && !is_own) {
            self.claimed.insert(run, new.data.clone());
        }
        let is_end = is_own && !new.state.is_running() && new.outcome == Some(Outcome::Ok);
        let ended = run.and_then(|run| self.ended.get(&run)).filter(|ended| is_end && ended.outcome == Outcome::Ok);
        match ended.map(|ended| &ended.change) {
            Some(Change::To(left)) if *left != new.data => Err("what a run left is not what its end says"),
            None | Some(Change::Nothing) if new.data != old.data => {
                Err("it was not changed by the end of a run that went well")
            }
            Some(Change::To(_)) => {
                self.count += 1;
                if number(new.data.as_ref()) == self.count { Ok(()) } else { Err("an update was lost") }
            }
            _ => Ok(()),
        }
    }
}

impl Checker for StateKept {
    fn name(&self) -> &'static str {
        "state_kept"
    }

    fn see(&mut self, _: u64, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Began { agent, id } => {
                self.agents.insert(id.clone(), *agent);
            }
            Happening::Started { agent, fence, data, .. } => {
                let claimed = self.claimed.get(&(*agent, *fence));
                if claimed.is_some_and(|claimed| claimed != data) {
                    let (data, claimed) = (number(data.as_ref()), claimed.and_then(Option::as_ref));
                    return Err(format!(
                        "the run of {fence} was handed {data}, not the {} of its claim",
                        number(claimed)
                    ));
                }
            }
            Happening::Stopped { agent, fence, how: Stopped::Ended(ended) } => {
                self.ended.insert((*agent, *fence), ended.clone());
            }
            Happening::Hand { stands } => {
                self.count =
                    stands.as_ref().map_or(0, |record| number(record.as_ref().and_then(|record| record.data.as_ref())));
            }
            Happening::Written(Written { old, new, .. }) => {
                return self.written(old.as_ref(), new).map_err(|problem| {
                    let text = |record: &Record| number(record.data.as_ref());
                    let before = old.as_ref().map(text);
                    format!("{problem}: {} over {before:?}, {new:?} over {old:?}", text(new))
                });
            }
            _ => {}
        }
        Ok(())
    }
}
