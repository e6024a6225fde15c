//! Why bytes are no job that can run here, each with what to do about it.

use super::interface::Interface;
use super::load::MAX_MODULE_BYTES;

/// Why a module cannot be loaded or prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// More bytes than [`MAX_MODULE_BYTES`].
    #[error("the module has {0} bytes, and at most {MAX_MODULE_BYTES} are loaded")]
    TooLarge(usize),
    /// Neither WebAssembly nor its text.
    #[error("the file is neither a WebAssembly component nor WebAssembly text")]
    Unrecognised,
    /// The text does not parse.
    #[error("the WebAssembly text cannot be read: {0}")]
    Text(String),
    /// A core module, as compilers make it before it is wrapped.
    #[error("the module is a core module, and a job is a component")]
    CoreModule {
        /// Whether it uses WASI preview 1.
        preview1: bool,
        /// Whether it carries the type of the component that it wants to be.
        typed: bool,
    },
    /// It does not validate or compile.
    #[error("the component is invalid: {0}")]
    Invalid(String),
    /// There is no `run`.
    #[error("the component exports no `run`, so it is no `soloist:job/job`{}", list(.exports))]
    NoRun {
        /// What it exports instead; at most 20 names.
        exports: Vec<String>,
    },
    /// There is a `run` of another type.
    #[error("the component's `run` is not that of `soloist:job/job`: {0}")]
    WrongRun(String),
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

impl LoadError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::CoreModule { preview1: true, .. } => {
                "build for a target that makes components (Rust: `--target wasm32-wasip2`), or wrap it: `wasm-tools component \
                 embed wit --world job job.wasm -o typed.wasm`, then `wasm-tools component new typed.wasm --adapt \
                 wasi_snapshot_preview1.reactor.wasm -o job.wasm`"
                    .to_owned()
            }
            Self::CoreModule { typed: true, .. } => {
                "wrap it: `wasm-tools component new module.wasm -o job.wasm`".to_owned()
            }
            Self::CoreModule { .. } => "give it the world of a job and wrap it: `wasm-tools component embed wit --world job \
                                        module.wasm -o typed.wasm`, then `wasm-tools component new typed.wasm -o job.wasm`"
                .to_owned(),
            Self::Unrecognised => {
                "name a component (`.wasm`, built for `wasm32-wasip2` for example) or its text (`.wat`)".to_owned()
            }
            Self::NoRun { exports } if exports.iter().any(|export| export.starts_with("wasi:cli/run@")) => {
                "this is a command with a `main`; a job exports the function `run` of the world `soloist:job/job` \
                 (`wit/`)"
                    .to_owned()
            }
            Self::NoRun { .. } => {
                "export the function `run` of the world `soloist:job/job` (`wit/`); in Rust, `soloist_sdk` does it"
                    .to_owned()
            }
            Self::WrongRun(_) => "generate the bindings again from this version's `wit/`".to_owned(),
            Self::NotGranted { job, line, .. } => format!("add `{line}` under `[job.{job}.grants]`"),
            Self::UnknownImport { interface } if interface.package() == "soloist:job" => {
                "the module was built against another version of `wit/`: this host has `soloist:job@0.1.0`".to_owned()
            }
            Self::UnknownImport { interface } if interface.package().starts_with("wasi:") => {
                "this host has WASI 0.2: `wasi:cli`, `clocks`, `filesystem`, `io`, `random` and `sockets`, and `http` with \
                 a grant"
                    .to_owned()
            }
            Self::UnknownImport { .. } => "a job may import `soloist:job` and WASI 0.2 only".to_owned(),
            Self::TooLarge(_) | Self::Text(_) | Self::Invalid(_) | Self::Link(_) => return None,
        };
        Some(hint)
    }
}
