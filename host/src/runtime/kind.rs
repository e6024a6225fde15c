//! What the bytes of a module were, and what is called in it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the bytes of a module were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// How it was packed.
    pub form: Form,
    /// What is called in it.
    pub world: World,
    /// Whether it was WebAssembly text.
    pub text: bool,
}

/// How a module was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// A component.
    Component,
    /// A core module that carries its WIT in the custom section `component-type`, as `wit-bindgen` leaves it.
    Core,
    /// A core module with a `_start`, for WASI preview 1.
    Preview1,
}

/// What is called in a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum World {
    /// `run` of `soloist:job`.
    Job,
    /// `run` of `wasi:cli/run@0.2`: a program with arguments, an environment and an exit code.
    Command,
}

impl World {
    /// Its name in WIT.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Job => "soloist:job/job@0.1.0",
            Self::Command => "wasi:cli/command@0.2",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.form {
            Form::Component => "component",
            Form::Core => "core module with WIT",
            Form::Preview1 => "WASI preview 1 command",
        })?;
        if self.text { f.write_str(" as text") } else { Ok(()) }
    }
}
