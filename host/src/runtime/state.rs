//! What a store holds: WASI that reaches nothing, the limiter, the facts of the run, and what capabilities put beside them.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::facts::Facts;
use super::interface::Interface;
use super::limits::{Limiter, Limits};
use super::output::{Capture, Stream};

/// The most random bytes that one call gives.
const MAX_RANDOM: u64 = 1 << 20;

/// The state of one run: what its host functions work on.
pub struct State {
    /// What capabilities keep for this run. Before the table, so that it is dropped first: a stream whose other end is
    /// dropped with the table sees that the run is over.
    pub extensions: Extensions,
    /// The resources that the module holds handles of.
    pub table: ResourceTable,
    facts: Arc<Facts>,
    wasi: WasiCtx,
    pub(super) limiter: Limiter,
}

impl State {
    /// `wasi` has arguments and environment, and nothing else yet.
    pub(super) fn new(facts: Arc<Facts>, limits: &Limits, capture: &Arc<Capture>, wasi: &mut WasiCtxBuilder) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources);
        // An empty stdin, no directory, no socket and no name lookup.
        let wasi = wasi
            .stdout(capture.pipe(Stream::Stdout))
            .stderr(capture.pipe(Stream::Stderr))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(MAX_RANDOM)
            .build();
        Self { table, extensions: Extensions::default(), facts, wasi, limiter: Limiter::new(limits.clone()) }
    }

    /// What is known of the run.
    pub const fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// One value of each type: what a capability keeps for a run, without this folder knowing its type.
#[derive(Default)]
pub struct Extensions(HashMap<TypeId, Box<dyn Any + Send>>);

impl Extensions {
    /// Puts a value in, in place of one of the same type.
    pub fn insert<T: Send + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(value));
    }

    /// The value of this type, made now if there is none.
    pub fn or_insert_with<T: Send + 'static>(&mut self, make: impl FnOnce() -> T) -> &mut T {
        let value = self.0.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(make()));
        value.downcast_mut().unwrap_or_else(|| unreachable!("each value stands under its own type"))
    }

    /// The value of this type.
    ///
    /// # Errors
    /// There is none: a capability was linked that did not enter the run.
    pub fn get<T: Send + 'static>(&mut self) -> wasmtime::Result<&mut T> {
        self.0
            .get_mut(&TypeId::of::<T>())
            .and_then(|value| value.downcast_mut())
            .ok_or_else(|| wasmtime::format_err!("the run has no `{}`", std::any::type_name::<T>()))
    }
}

/// The host interfaces beside WASI that a job may import: its grants, as linked.
pub trait Capabilities: Send + Sync {
    /// Whether the job may import this interface.
    fn access(&self, interface: &Interface) -> Access;

    /// Links what was granted, and nothing else.
    fn link(&self, linker: &mut Linker<State>) -> wasmtime::Result<()>;

    /// Puts what the granted interfaces need into the state of a new run.
    fn enter(&self, state: &mut State);
}

/// Whether a job may import an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Granted,
    /// It may not: the line that would grant it, to stand under `[job.NAME.grants]`.
    Missing {
        /// For example `http = ["https://…"]`.
        line: String,
    },
    /// This host has no such interface.
    Unknown,
}

/// No capability at all: WASI only.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Capabilities for Nothing {
    fn access(&self, _: &Interface) -> Access {
        Access::Unknown
    }

    fn link(&self, _: &mut Linker<State>) -> wasmtime::Result<()> {
        Ok(())
    }

    fn enter(&self, _: &mut State) {}
}
