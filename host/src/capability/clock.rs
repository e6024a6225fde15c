//! `soloist:job/clock`: the time, for jobs without `wasi:clocks`. Every job has it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use wasmtime::component::{HasSelf, Linker};

use super::Capability;
use crate::clock::{millis, wall_ms};
use crate::runtime::State;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package soloist:host; world clock { import soloist:job/clock@0.1.0; }",
        path: "../wit",
        imports: { default: async | trappable },
    });
}

use bindings::soloist::job::clock as wit;

pub(super) const CAPABILITY: Capability = Capability {
    name: "clock",
    interfaces: &["soloist:job/clock@0.1.0"],
    grant: None,
    granted: |_| true,
    link: add_to_linker,
    enter: |_, _| {},
};

/// What the monotonic clock counts from: not the start of the machine, which is nobody's business.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl wit::Host for State {
    async fn now_ms(&mut self) -> wasmtime::Result<u64> {
        self.facts().check()?;
        Ok(wall_ms())
    }

    async fn monotonic_ns(&mut self) -> wasmtime::Result<u64> {
        self.facts().check()?;
        Ok(u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    async fn left_ms(&mut self) -> wasmtime::Result<u64> {
        self.facts().check()?;
        Ok(millis(self.facts().remaining().min(self.facts().lease.remaining())))
    }

    async fn sleep_ms(&mut self, milliseconds: u32) -> wasmtime::Result<()> {
        self.facts().check()?;
        // A run that must stop is dropped with all that it waits for.
        tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
        Ok(self.facts().check()?)
    }
}

fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}
