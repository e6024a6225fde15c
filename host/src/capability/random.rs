//! `soloist:job/random`: randomness fit for cryptography, for jobs without `wasi:random`. Every job has it.

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use wasmtime::component::{HasSelf, Linker};

use super::Capability;
use crate::runtime::State;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package soloist:host; world random { import soloist:job/random@0.1.0; }",
        path: "../wit",
        imports: { default: trappable },
    });
}

use bindings::soloist::job::random as wit;

/// The most bytes that one call gives. More of them is a trap.
pub const MAX_BYTES: u32 = 65_536;

pub(super) const CAPABILITY: Capability = Capability {
    name: "random",
    interfaces: &["soloist:job/random@0.1.0"],
    grant: None,
    granted: |_| true,
    link: add_to_linker,
    enter: |_, _| {},
};

impl wit::Host for State {
    fn number(&mut self) -> wasmtime::Result<u64> {
        self.facts().check()?;
        Ok(OsRng.try_next_u64()?)
    }

    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.facts().check()?;
        if length > MAX_BYTES {
            return Err(wasmtime::format_err!("asked for {length} random bytes: at most {MAX_BYTES} at once"));
        }
        let mut bytes = vec![0; length as usize];
        OsRng.try_fill_bytes(&mut bytes)?;
        Ok(bytes)
    }
}

fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}
