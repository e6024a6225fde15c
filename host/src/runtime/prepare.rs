//! Preparing a module for one job: what it imports is held against the job's grants, and then linked to nothing else.

use std::fmt;
use std::sync::Arc;

use wasmtime::component::{InstancePre, Linker};
use wasmtime_wasi::p2::bindings::CommandPre;

use super::bindings::BasePre;
use super::error::LoadError;
use super::interface::Interface;
use super::kind::World;
use super::load::{Module, one_line};
use super::state::{Access, Capabilities, State};

/// The WASI packages that every job may import, with the version that this host has.
pub const WASI: [&str; 6] = ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];

/// The version of WASI that this host has; any 0.2 fits.
pub const WASI_VERSION: &str = "0.2.12";

/// A module with its imports linked: ready to run any number of times, at once too. Clones share it.
#[derive(Clone)]
pub struct Prepared {
    pub(super) entry: Entry,
    pub(super) capabilities: Arc<dyn Capabilities>,
    module: Module,
}

/// What is called in a module.
#[derive(Clone)]
pub(super) enum Entry {
    /// `run` of `soloist:job`.
    Job(BasePre<State>),
    /// `run` of `wasi:cli/run`.
    Command(CommandPre<State>),
}

impl Entry {
    fn new(world: World, pre: InstancePre<State>) -> wasmtime::Result<Self> {
        match world {
            World::Job => BasePre::new(pre).map(Self::Job),
            World::Command => CommandPre::new(pre).map(Self::Command),
        }
    }
}

impl Module {
    /// Links the module for a job that was granted these capabilities. Takes milliseconds.
    ///
    /// # Errors
    /// The module imports what the job was not granted, or what this host does not have.
    pub fn prepare(&self, job: &str, capabilities: Arc<dyn Capabilities>) -> Result<Prepared, LoadError> {
        // Before linking: a linker reports a missing interface as one of a wrong type.
        for import in self.imports().iter().filter(|import| import.callable && !is_wasi(&import.interface)) {
            let interface = import.interface.clone();
            match capabilities.access(&interface) {
                Access::Granted => {}
                Access::Missing { line } => {
                    return Err(LoadError::NotGranted { interface, job: job.to_owned(), line });
                }
                Access::Unknown => return Err(LoadError::UnknownImport { interface }),
            }
        }
        let link = |error: wasmtime::Error| LoadError::Link(one_line(&format!("{error:#}")));
        let mut linker = Linker::new(self.engine().wasmtime());
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(link)?;
        capabilities.link(&mut linker).map_err(link)?;
        let pre = linker.instantiate_pre(self.component());
        let entry = pre.and_then(|pre| Entry::new(self.kind().world, pre)).map_err(link)?;
        Ok(Prepared { entry, capabilities, module: self.clone() })
    }
}

impl Prepared {
    /// The module that was prepared.
    pub const fn module(&self) -> &Module {
        &self.module
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("module", &self.module).finish_non_exhaustive()
    }
}

/// Whether every job may import this interface: it is WASI 0.2 and reaches nothing outside the run.
pub fn is_wasi(interface: &Interface) -> bool {
    WASI.contains(&interface.package()) && interface.fits(&format!("{}@{WASI_VERSION}", interface.base()))
}
