//! `soloist:job/log`: lines in the agent's log. Every job has it.

use tracing::Level;
use wasmtime::component::{HasSelf, Linker};

use super::Capability;
use crate::runtime::State;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package soloist:host; world log { import soloist:job/log@0.1.0; }",
        path: "../wit",
        imports: { default: trappable },
    });
}

use bindings::soloist::job::log as wit;

pub(super) const CAPABILITY: Capability = Capability {
    name: "log",
    interfaces: &["soloist:job/log@0.1.0"],
    grant: None,
    granted: |_| true,
    link: add_to_linker,
    enter: |_, _| {},
};

impl wit::Host for State {
    fn log(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        self.facts().check()?;
        let level = match level {
            wit::Level::Trace => Level::TRACE,
            wit::Level::Debug => Level::DEBUG,
            wit::Level::Info => Level::INFO,
            wit::Level::Warn => Level::WARN,
            wit::Level::Error => Level::ERROR,
        };
        self.facts().log.line(level, &message);
        Ok(())
    }
}

fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}
