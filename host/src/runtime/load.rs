//! Loading a module: machine code becomes a module that is known to be a job or a command, or an error that says what is missing.

use std::fmt;
use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi::p2::bindings::CommandPre;

use super::bindings::BasePre;
use super::compile::{Compiled, compile};
use super::encode::COMMAND;
use super::engine::Engine;
use super::error::LoadError;
use super::interface::Interface;
use super::kind::{Kind, World};
use super::state::State;
use crate::module::{Digest, Hold, MAX_MODULE_BYTES};

/// A compiled module, checked to export the world `soloist:job/job` or `wasi:cli/command`. Clones share it.
#[derive(Clone)]
pub struct Module(Arc<Loaded>);

struct Loaded {
    engine: Engine,
    component: Component,
    digest: Digest,
    size: usize,
    kind: Kind,
    imports: Vec<Import>,
    /// Keeps it in the store as long as it is in use.
    _hold: Option<Hold>,
}

/// Something that a module imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The interface, or the name of what else it is.
    pub interface: Interface,
    /// Whether there is anything in it to call: an interface of types alone needs no grant.
    pub callable: bool,
}

impl Module {
    /// Compiles a module in this process and checks that it can be run. Takes from milliseconds to many seconds of one core,
    /// and up to hundreds of megabytes: an agent has a [`Compiler`](super::Compiler) instead.
    ///
    /// # Errors
    /// What kind of thing the bytes are instead, or what is missing in them.
    pub fn load(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        check_size(bytes)?;
        let compiled = compile(engine.wasmtime(), bytes)?;
        Self::from_compiled(engine, Digest::of(bytes), bytes.len(), &compiled, None)
    }

    /// Checks that what was compiled can be run.
    pub(super) fn from_compiled(
        engine: &Engine,
        digest: Digest,
        size: usize,
        compiled: &Compiled,
        hold: Option<Hold>,
    ) -> Result<Self, LoadError> {
        let component = map(engine, compiled).map_err(|error| invalid(&error))?;
        let kind = compiled.kind();
        check_run(engine, &component, kind.world)?;
        let imports = imports(engine, &component);
        Ok(Self(Arc::new(Loaded { engine: engine.clone(), component, digest, size, kind, imports, _hold: hold })))
    }

    /// The SHA-256 digest of the bytes.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// The size of the bytes.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// What the bytes were.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What it imports, in its own order.
    pub fn imports(&self) -> &[Import] {
        &self.0.imports
    }

    /// The engine that it was compiled for.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(super) fn component(&self) -> &Component {
        &self.0.component
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("digest", &self.0.digest).field("kind", &self.0.kind).finish_non_exhaustive()
    }
}

/// Refuses what has too many bytes.
pub(super) fn check_size(bytes: &[u8]) -> Result<(), LoadError> {
    let size = bytes.len() as u64;
    if size > MAX_MODULE_BYTES { Err(LoadError::TooLarge(size)) } else { Ok(()) }
}

/// Maps machine code into this process.
#[expect(unsafe_code, reason = "machine code is run as it is: wasmtime cannot check it")]
fn map(engine: &Engine, compiled: &Compiled) -> wasmtime::Result<Component> {
    // SAFETY: the code is what `Engine::precompile_component` made. A `Compiled` comes from `compile::compile` in this process,
    // from the process that we started to do just that, over a pipe that nobody else holds, or from the store, under a MAC over
    // all of it with a key that only this user's agents have. wasmtime itself refuses code of another version or configuration.
    unsafe { Component::deserialize(engine.wasmtime(), compiled.code()) }
}

/// An engine's error on one line of at most 1 KiB.
pub(super) fn one_line(error: &str) -> String {
    super::log::clean(&error.split_whitespace().collect::<Vec<_>>().join(" "), 1024)
}

fn imports(engine: &Engine, component: &Component) -> Vec<Import> {
    let world = component.component_type();
    world
        .imports(engine.wasmtime())
        .map(|(name, import)| {
            let callable = match &import.ty {
                ComponentItem::ComponentInstance(instance) => {
                    instance.exports(engine.wasmtime()).any(|(_, export)| !matches!(export.ty, ComponentItem::Type(_)))
                }
                ComponentItem::Type(_) => false,
                _ => true,
            };
            Import { interface: Interface::new(name), callable }
        })
        .collect()
}

/// Checks that the component exports a `run` of the right type.
fn check_run(engine: &Engine, component: &Component, world: World) -> Result<(), LoadError> {
    let wrong = |problem: String| LoadError::WrongRun { world: world.name().to_owned(), problem };
    let exports = component.component_type();
    let mut exports = exports.exports(engine.wasmtime());
    let is_there = exports.any(|(name, export)| match (world, export.ty) {
        (World::Job, ComponentItem::ComponentFunc(_)) => name == "run",
        (World::Command, ComponentItem::ComponentInstance(_)) => Interface::new(name).fits(COMMAND),
        _ => false,
    });
    if !is_there {
        let thing = if world == World::Job { "function" } else { "interface" };
        return Err(wrong(format!("it is no {thing}")));
    }
    // Types are compared on what a linker has put together, so every import is stood in for.
    let mut linker = Linker::<State>::new(engine.wasmtime());
    linker.define_unknown_imports_as_traps(component).map_err(|error| invalid(&error))?;
    let pre = linker.instantiate_pre(component).map_err(|error| invalid(&error))?;
    let checked = match world {
        World::Job => BasePre::new(pre).map(|_| ()),
        World::Command => CommandPre::new(pre).map(|_| ()),
    };
    checked.map_err(|error| wrong(one_line(&format!("{error:#}"))))
}

fn invalid(error: &wasmtime::Error) -> LoadError {
    LoadError::Invalid(one_line(&format!("{error:#}")))
}
