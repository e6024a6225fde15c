//! Running modules: the engine, what a module may use, and one run of it.
//!
//! Architecture Invariant: nothing here knows a capability. What a job was granted comes in as [`Capabilities`], and what a
//! capability keeps for a run stands in [`State::extensions`].

mod bindings;
mod child;
mod command;
mod compile;
mod compiler;
mod encode;
mod engine;
mod error;
mod facts;
mod interface;
mod kind;
mod lease;
mod limits;
mod load;
mod log;
mod output;
mod pool;
mod prepare;
mod recognise;
mod run;
mod state;
mod verdict;

pub use crate::clock::{boot_ms, wall_ms};
pub use child::{SUBCOMMAND as COMPILE, compile_for_parent};
pub use command::{Invocation, InvocationError};
pub use compiler::{CompileLimits, Compiler};
pub use encode::MAX_NESTING;
pub use engine::{Engine, EngineError, TICK};
pub use error::LoadError;
pub use facts::{Facts, Stop};
pub use interface::Interface;
pub use kind::{Form, Kind, World};
pub use lease::{Lease, LeaseLost};
pub use limits::Limits;
pub use load::{Import, Module};
pub use log::{MAX_LINE, MAX_LINES, RunLog, clean};
pub use output::Output;
pub use prepare::{Prepared, WASI, WASI_VERSION, is_wasi};
pub use run::{MAX_MESSAGE, Report, Request, run};
pub use state::{Access, Capabilities, Extensions, Nothing, State};
