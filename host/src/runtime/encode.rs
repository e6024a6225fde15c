//! Whatever a module is packed as becomes a component: its kind is told by its content, and what cannot be one says what it lacks.

mod exit;

use std::borrow::Cow;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER as COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as REACTOR_ADAPTER,
};
use wasmparser::{BinaryReaderError, Parser, Payload};
use wit_component::{ComponentEncoder, metadata};

use super::error::LoadError;
use super::interface::Interface;
use super::kind::{Form, Kind, World};
use super::load::one_line;
use super::log::clean;
use super::recognise;

/// How deep components may be nested. Tools make three levels.
pub const MAX_NESTING: usize = 32;

/// The first bytes of every binary.
const MAGIC: &[u8] = b"\0asm";

/// The version and layer after [`MAGIC`] in a core module, and in a component.
const CORE: &[u8] = &[1, 0, 0, 0];
const COMPONENT: &[u8] = &[13, 0, 1, 0];

/// The interface that a command exports; any 0.2 fits.
pub(super) const COMMAND: &str = "wasi:cli/run@0.2.12";

/// Names that are listed in an error, at most, and the longest that one of them is shown, in bytes.
const LISTED: usize = 20;
const NAME: usize = 160;

/// The longest part of the text parser's error, in bytes.
const REASON: usize = 512;

/// The component in the bytes, whatever they are. The bytes are read here, and code in them is not validated yet.
pub(super) fn component(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, Kind), LoadError> {
    if bytes.starts_with(MAGIC) {
        return from_binary(Cow::Borrowed(bytes), false);
    }
    let unrecognised = || LoadError::Unrecognised { what: recognise::describe(bytes).to_owned() };
    // Text begins with a parenthesis or a comment, and no other file that might be here does.
    let text = std::str::from_utf8(bytes).map_err(|_| unrecognised())?;
    let text = text.trim_start_matches('\u{feff}');
    if !text.trim_start().starts_with(['(', ';']) {
        return Err(unrecognised());
    }
    let binary = wat::parse_str(text).map_err(|error| LoadError::Text(place_in_text(&error.to_string())))?;
    from_binary(Cow::Owned(binary), true)
}

fn from_binary(binary: Cow<'_, [u8]>, text: bool) -> Result<(Cow<'_, [u8]>, Kind), LoadError> {
    let (component, form) = match binary.get(4..8) {
        Some(COMPONENT) => (binary, Form::Component),
        Some(CORE) => {
            let (component, form) = encode(&binary)?;
            (Cow::Owned(component), form)
        }
        Some(version) => {
            let what = format!("WebAssembly of the unknown version {version:02x?}");
            return Err(LoadError::Unrecognised { what });
        }
        None => return Err(LoadError::Unrecognised { what: "cut off after its first bytes".to_owned() }),
    };
    let world = world(&component)?;
    Ok((component, Kind { form, world, text }))
}

/// What is called in a component, by the names of its exports; their types are looked at when it is compiled.
fn world(component: &[u8]) -> Result<World, LoadError> {
    let survey = Survey::of(component)?;
    if survey.exports.iter().any(|export| export == "run") {
        return Ok(World::Job);
    }
    if survey.exports.iter().any(|export| Interface::new(export.as_str()).fits(COMMAND)) {
        return Ok(World::Command);
    }
    if survey.is_wit_package {
        return Err(LoadError::WitPackage);
    }
    Err(LoadError::NoRun { exports: listed(survey.exports) })
}

/// Names that somebody else chose, as they are listed in an error.
fn listed(names: impl IntoIterator<Item = String>) -> Vec<String> {
    names.into_iter().take(LISTED).map(|name| clean(&name, NAME)).collect()
}

/// What can be seen of a component without understanding it.
struct Survey {
    exports: Vec<String>,
    /// Types and names, and nothing that could run.
    is_wit_package: bool,
}

impl Survey {
    fn of(component: &[u8]) -> Result<Self, LoadError> {
        let mut survey = Self { exports: Vec::new(), is_wit_package: true };
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.map_err(|error| invalid(&error))? {
                Payload::Version { .. } => {
                    depth += 1;
                    if depth > MAX_NESTING {
                        return Err(LoadError::Nested);
                    }
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        survey.exports.push(export.map_err(|error| invalid(&error))?.name.name.to_owned());
                    }
                }
                Payload::ComponentTypeSection(_) | Payload::CustomSection(_) | Payload::ComponentExportSection(_) => {}
                _ => survey.is_wit_package = false,
            }
        }
        Ok(survey)
    }
}

fn invalid(error: &BinaryReaderError) -> LoadError {
    LoadError::Invalid(one_line(&error.to_string()))
}

/// Makes a component of a core module, by the WIT that it carries and the adapter for the WASI preview 1 that it imports.
fn encode(module: &[u8]) -> Result<(Vec<u8>, Form), LoadError> {
    let core = CoreModule::of(module)?;
    if !core.has_wit && !core.is_command() {
        return Err(core.lacking());
    }
    // A command may say in WIT what it imports beside WASI; what exports something by WIT is called there.
    let exports_by_wit = core.has_wit && {
        let (_, decoded) = metadata::decode(module).map_err(|error| unencodable(&error))?;
        !decoded.resolve.worlds[decoded.world].exports.is_empty()
    };
    let (adapter, form) = if core.is_command() && !exports_by_wit {
        (Some(COMMAND_ADAPTER), Form::Preview1)
    } else {
        (core.imports_preview1().then_some(REACTOR_ADAPTER), Form::Core)
    };
    let changed = if adapter.is_some() { exit::with_statuses(module).map_err(|error| invalid(&error))? } else { None };
    let module = changed.as_deref().unwrap_or(module);
    let encoded = ComponentEncoder::default().module(module).and_then(|encoder| match adapter {
        Some(adapter) => encoder.adapter(PREVIEW1, adapter)?.encode(),
        None => { encoder }.encode(),
    });
    Ok((encoded.map_err(|error| unencodable(&error))?, form))
}

fn unencodable(error: &impl std::fmt::Display) -> LoadError {
    LoadError::Encode(one_line(&format!("{error:#}")))
}

/// What can be seen of a core module.
#[derive(Default)]
struct CoreModule {
    has_wit: bool,
    has_start: bool,
    /// The modules that it imports from, each once.
    imports: Vec<String>,
}

impl CoreModule {
    fn of(module: &[u8]) -> Result<Self, LoadError> {
        let mut core = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload.map_err(|error| invalid(&error))? {
                Payload::CustomSection(section) if section.name().starts_with("component-type") => core.has_wit = true,
                Payload::ExportSection(section) => {
                    for export in section {
                        core.has_start |= export.map_err(|error| invalid(&error))?.name == "_start";
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let from = import.map_err(|error| invalid(&error))?.module;
                        if !core.imports.iter().any(|known| known == from) {
                            core.imports.push(from.to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(core)
    }

    fn imports_preview1(&self) -> bool {
        self.imports.iter().any(|from| from == PREVIEW1)
    }

    /// Whether it is a program: what it imports beside WASI must stand in its WIT.
    fn is_command(&self) -> bool {
        self.has_start && (self.has_wit || self.imports.iter().all(|from| from == PREVIEW1))
    }

    /// What it lacks to be a module.
    fn lacking(self) -> LoadError {
        let preview1 = self.imports_preview1();
        let others = listed(self.imports.into_iter().filter(|from| from != PREVIEW1));
        LoadError::CoreModule { preview1, start: self.has_start, others }
    }
}

/// The error of the text parser on one line: `expected …, at line 3, column 7`.
fn place_in_text(error: &str) -> String {
    // It may repeat what it does not understand.
    let reason = clean(error.lines().next().unwrap_or_default(), REASON);
    let place =
        error.lines().find_map(|line| line.trim().strip_prefix("--> <anon>:")).and_then(|at| at.split_once(':'));
    match place {
        Some((line, column)) => format!("{reason}, at line {line}, column {column}"),
        None => reason,
    }
}

#[cfg(test)]
mod tests;
