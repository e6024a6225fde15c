//! `soloist:job/state`: the text that belongs to the job. Every job has it.
//!
//! It comes with the claim of the run's round, and what a run sets goes with the run's completion, in the same conditional
//! replacement of the record: so a run that fails, or whose round is somebody else's by then, changes nothing.

use wasmtime::component::{HasSelf, Linker};

use super::Capability;
use crate::round::Data;
use crate::runtime::State;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package soloist:host; world state { import soloist:job/state@0.1.0; }",
        path: "../wit",
        imports: { default: trappable },
    });
}

use bindings::soloist::job::state as wit;

pub(super) const CAPABILITY: Capability = Capability {
    name: "state",
    interfaces: &["soloist:job/state@0.1.0"],
    grant: None,
    granted: |_| true,
    link: add_to_linker,
    enter: |_, _| {},
};

impl wit::Host for State {
    fn get(&mut self) -> wasmtime::Result<Option<String>> {
        self.facts().check()?;
        Ok(self.facts().state().map(|state| state.as_str().to_owned()))
    }

    fn set(&mut self, value: Option<String>) -> wasmtime::Result<Result<(), wit::Error>> {
        self.facts().check()?;
        Ok(match value.map(Data::new).transpose() {
            Ok(state) => {
                self.facts().set_state(state);
                Ok(())
            }
            Err(bytes) => Err(wit::Error::TooLarge(u32::try_from(bytes).unwrap_or(u32::MAX))),
        })
    }
}

fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}
