//! Why bytes are no job that can run here, each with what to do about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::encode::MAX_NESTING;
use super::interface::Interface;
use crate::module::MAX_MODULE_BYTES;

/// Why a module cannot be loaded or prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum LoadError {
    /// More bytes than [`MAX_MODULE_BYTES`].
    #[error("the module has {0} bytes, and at most {MAX_MODULE_BYTES} are loaded")]
    TooLarge(u64),
    /// Neither WebAssembly nor its text.
    #[error("the file is neither WebAssembly nor its text: it is {what}")]
    Unrecognised {
        /// What it is instead.
        what: String,
    },
    /// The text does not parse.
    #[error("the WebAssembly text cannot be read: {0}")]
    Text(String),
    /// A core module that neither carries its WIT nor is a WASI preview 1 command.
    #[error("the module is a core module without WIT (it has no custom section `component-type`){}", lacks(*.preview1, *.start, .others))]
    CoreModule {
        /// Whether it imports WASI preview 1.
        preview1: bool,
        /// Whether it exports `_start`.
        start: bool,
        /// What else it imports from; at most 20 names.
        others: Vec<String>,
    },
    /// A core module that does not fit the WIT that it carries.
    #[error("the core module cannot be made a component: {0}")]
    Encode(String),
    /// A WIT package in binary form.
    #[error("the file is a WIT package: it describes interfaces, and has no code")]
    WitPackage,
    /// Components in components in components.
    #[error("components are nested deeper than {MAX_NESTING} levels")]
    Nested,
    /// It does not validate or compile.
    #[error("the component is invalid: {0}")]
    Invalid(String),
    /// There is no `run`.
    #[error("the component exports neither `run` of `soloist:job/job` nor `wasi:cli/run@0.2`{}", list(.exports))]
    NoRun {
        /// What it exports instead; at most 20 names.
        exports: Vec<String>,
    },
    /// There is a `run` of another type.
    #[error("the component's `run` is not that of `{world}`: {problem}")]
    WrongRun {
        /// The world that it should be of.
        world: String,
        /// What differs.
        problem: String,
    },
    /// The compiler asked for more memory than it may have.
    #[error("compiling the module takes more than {} of memory, the most that the compiler may have", mebibytes(*.0))]
    CompilerMemory(u64),
    /// The compiler took more time than it may have.
    #[error("compiling the module takes longer than {} of one processor's time, the most that the compiler may have", humantime::format_duration(*.0))]
    CompilerTime(Duration),
    /// The compiler ended without a word that explains it.
    #[error("the compiler broke off at this module: {0}")]
    CompilerCrash(String),
    /// The compiler could not be started.
    #[error("the compiler cannot be started: {0}")]
    CompilerMissing(String),
    /// It imports an interface that the job was not granted.
    #[error("the module imports `{interface}`, which job `{job}` was not granted")]
    NotGranted {
        /// The import.
        interface: Interface,
        /// The job's name.
        job: String,
        /// The line that grants it.
        line: String,
    },
    /// It imports something that no grant gives.
    #[error("the module imports `{interface}`, which this host does not have")]
    UnknownImport {
        /// The import.
        interface: Interface,
    },
    /// The imports have the right names and wrong types.
    #[error("the module's imports do not fit this host: {0}")]
    Link(String),
}

fn list(exports: &[String]) -> String {
    if exports.is_empty() {
        return " (it exports nothing)".to_owned();
    }
    format!(" (it exports `{}`)", exports.join("`, `"))
}

fn lacks(preview1: bool, start: bool, others: &[String]) -> String {
    let mut text = String::new();
    if preview1 && !start {
        text += ", and no WASI preview 1 command: it exports no `_start`";
    } else if !preview1 && !start {
        text += ", and exports no `_start`";
    }
    if !others.is_empty() {
        text += &format!("; it imports from `{}`", others.join("`, `"));
    }
    text
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

impl LoadError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::CoreModule { others, .. } if others.iter().any(|from| from == "wasi_unstable") => {
                "build it for `wasi_snapshot_preview1`: this is the version of WASI before".to_owned()
            }
            Self::CoreModule { others, .. } if others.iter().any(|from| from == "gojs" || from == "go") => {
                "build it with `GOOS=wasip1`: this is Go for a browser".to_owned()
            }
            Self::CoreModule { others, .. } if others.iter().any(|from| from.starts_with("wbg") || from.contains("wbindgen")) => {
                "build it with `--target wasm32-wasip2`: this is made by `wasm-bindgen`, for a browser".to_owned()
            }
            Self::CoreModule { preview1: true, .. } => {
                "build a program with a `main`, or a target that makes components (Rust: `--target wasm32-wasip2`); or give \
                 it the world of a job: `wasm-tools component embed wit --world job module.wasm -o job.wasm`"
                    .to_owned()
            }
            Self::CoreModule { .. } => "give it the world of a job: `wasm-tools component embed wit --world job module.wasm \
                                        -o job.wasm`"
                .to_owned(),
            Self::Encode(_) => "generate the bindings again, from one WIT for all of the module".to_owned(),
            Self::WitPackage => "name the component that was built with it".to_owned(),
            Self::Unrecognised { .. } => {
                "name a component, a WASI preview 1 command or a core module with WIT (`.wasm`), or the text of one (`.wat`)"
                    .to_owned()
            }
            Self::NoRun { .. } => {
                "export the function `run` of the world `soloist:job/job` (`wit/`), or build a program with a `main`; in \
                 Rust, `soloist_sdk` does the first"
                    .to_owned()
            }
            Self::WrongRun { .. } => "generate the bindings again from this version's `wit/`".to_owned(),
            Self::CompilerMemory(_) => {
                "if the module is to be trusted with more, raise `memory` under `[compiler]`".to_owned()
            }
            Self::CompilerTime(_) => "if the module is to be trusted with more, raise `time` under `[compiler]`".to_owned(),
            Self::NotGranted { job, line, .. } => format!("add `{line}` under `[job.{job}.grants]`"),
            Self::UnknownImport { interface } if interface.package() == "soloist:job" => {
                "the module was built against another version of `wit/`: this host has `soloist:job@0.1.0`".to_owned()
            }
            Self::UnknownImport { interface } if interface.package().starts_with("wasi:") => {
                "this host has WASI 0.2: `wasi:cli`, `clocks`, `filesystem`, `io`, `random` and `sockets`, and `http` with \
                 a grant; `wasi:config@0.2.0-rc.1` and `wasi:logging@0.1.0-draft`"
                    .to_owned()
            }
            Self::UnknownImport { .. } => "a job may import `soloist:job` and WASI 0.2 only".to_owned(),
            Self::TooLarge(_)
            | Self::Text(_)
            | Self::Nested
            | Self::Invalid(_)
            | Self::Link(_)
            | Self::CompilerCrash(_)
            | Self::CompilerMissing(_) => return None,
        };
        Some(hint)
    }
}
