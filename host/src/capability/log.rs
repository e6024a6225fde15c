//! `soloist:job/log` and `wasi:logging/logging`: lines in the agent's log. Every job has them.

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
    interfaces: &["soloist:job/log@0.1.0", "wasi:logging/logging@0.1.0-draft", "wasi:logging/logging"],
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
    wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    draft::wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    unversioned::wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

/// `wasi:logging` in the one version of it: languages' tools name it with the version and without.
macro_rules! standard {
    ($name:ident, $package:literal) => {
        mod $name {
            mod bindings {
                wasmtime::component::bindgen!({
                    inline: $package,
                    imports: { default: trappable },
                });
            }

            pub(super) use bindings::wasi::logging::logging as wit;

            use tracing::Level;

            use crate::runtime::State;

            impl wit::Host for State {
                fn log(&mut self, level: wit::Level, context: String, message: String) -> wasmtime::Result<()> {
                    self.facts().check()?;
                    let level = match level {
                        wit::Level::Trace => Level::TRACE,
                        wit::Level::Debug => Level::DEBUG,
                        wit::Level::Info => Level::INFO,
                        wit::Level::Warn => Level::WARN,
                        wit::Level::Error | wit::Level::Critical => Level::ERROR,
                    };
                    let line = if context.is_empty() { message } else { format!("{context}: {message}") };
                    self.facts().log.line(level, &line);
                    Ok(())
                }
            }
        }
    };
}

standard!(
    draft,
    "package wasi:logging@0.1.0-draft;
    interface logging {
        enum level { trace, debug, info, warn, error, critical }
        log: func(level: level, context: string, message: string);
    }
    world imports { import logging; }"
);
standard!(
    unversioned,
    "package wasi:logging;
    interface logging {
        enum level { trace, debug, info, warn, error, critical }
        log: func(level: level, context: string, message: string);
    }
    world imports { import logging; }"
);
