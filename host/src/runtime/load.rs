//! Loading a module: bytes become a compiled component that is known to be a job, or an error that says what is missing.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use super::bindings::BasePre;
use super::engine::Engine;
use super::error::LoadError;
use super::interface::Interface;
use super::state::State;

/// The largest module that is loaded, in bytes.
pub const MAX_MODULE_BYTES: usize = 64 << 20;

/// The first bytes of every binary.
const MAGIC: &[u8] = b"\0asm";

/// The version and layer after [`MAGIC`] in a core module, and in a component.
const CORE: &[u8] = &[1, 0, 0, 0];
const COMPONENT: &[u8] = &[13, 0, 1, 0];

/// A compiled module, checked to export the world `soloist:job/job`. Clones share it.
#[derive(Clone)]
pub struct Module(Arc<Loaded>);

struct Loaded {
    engine: Engine,
    component: Component,
    digest: String,
    size: usize,
    kind: Kind,
    imports: Vec<Import>,
}

/// What the bytes of a module were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A component.
    Component,
    /// A component as WebAssembly text.
    Text,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Component => "component",
            Self::Text => "component as text",
        })
    }
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
    /// Compiles a module and checks that it is a job. Takes from milliseconds to many seconds of one core: call it on a
    /// thread that may block.
    ///
    /// # Errors
    /// What kind of thing the bytes are instead, or what is missing in them.
    pub fn load(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        if bytes.len() > MAX_MODULE_BYTES {
            return Err(LoadError::TooLarge(bytes.len()));
        }
        let (binary, kind) = component_binary(bytes)?;
        let component = Component::from_binary(engine.wasmtime(), &binary)
            .map_err(|error| LoadError::Invalid(one_line(&format!("{error:#}"))))?;
        let digest = format!("{:x}", Sha256::digest(bytes));
        let imports = imports(engine, &component);
        check_run(engine, &component)?;
        let size = bytes.len();
        Ok(Self(Arc::new(Loaded { engine: engine.clone(), component, digest, size, kind, imports })))
    }

    /// The SHA-256 digest of the bytes, in lower-case hexadecimal.
    pub fn digest(&self) -> &str {
        &self.0.digest
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

    /// The engine that it was compiled by.
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

/// The component in the bytes, whatever they are.
fn component_binary(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, Kind), LoadError> {
    if bytes.starts_with(MAGIC) {
        return check_binary(bytes).map(|()| (Cow::Borrowed(bytes), Kind::Component));
    }
    // Text begins with a parenthesis or a comment, and no other file that might be here does.
    let text = std::str::from_utf8(bytes).map_err(|_| LoadError::Unrecognised)?;
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with(['(', ';']) {
        return Err(LoadError::Unrecognised);
    }
    let binary = wat::parse_str(text).map_err(|error| LoadError::Text(place_in_text(&error.to_string())))?;
    check_binary(&binary)?;
    Ok((Cow::Owned(binary), Kind::Text))
}

fn check_binary(binary: &[u8]) -> Result<(), LoadError> {
    match binary.get(4..8) {
        Some(COMPONENT) => Ok(()),
        Some(CORE) => Err(LoadError::CoreModule {
            preview1: contains(binary, b"wasi_snapshot_preview1"),
            typed: contains(binary, b"component-type"),
        }),
        _ => Err(LoadError::Unrecognised),
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The error of the text parser on one line: `expected …, at line 3, column 7`.
fn place_in_text(error: &str) -> String {
    let reason = error.lines().next().unwrap_or_default();
    let place =
        error.lines().find_map(|line| line.trim().strip_prefix("--> <anon>:")).and_then(|at| at.split_once(':'));
    match place {
        Some((line, column)) => format!("{reason}, at line {line}, column {column}"),
        None => reason.to_owned(),
    }
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

/// Checks that the component exports `run` of the right type.
fn check_run(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    let world = component.component_type();
    match world.get_export(engine.wasmtime(), "run").map(|export| export.ty) {
        Some(ComponentItem::ComponentFunc(_)) => {}
        Some(_) => return Err(LoadError::WrongRun("it is no function".to_owned())),
        None => {
            let exports = world.exports(engine.wasmtime()).map(|(name, _)| name.to_owned()).take(20).collect();
            return Err(LoadError::NoRun { exports });
        }
    }
    // Types are compared on what a linker has put together, so every import is stood in for.
    let mut linker = Linker::<State>::new(engine.wasmtime());
    linker.define_unknown_imports_as_traps(component).map_err(|error| invalid(&error))?;
    let pre = linker.instantiate_pre(component).map_err(|error| invalid(&error))?;
    BasePre::new(pre).map(|_| ()).map_err(|error| LoadError::WrongRun(one_line(&format!("{error:#}"))))
}

fn invalid(error: &wasmtime::Error) -> LoadError {
    LoadError::Invalid(one_line(&format!("{error:#}")))
}
