//! Compiling: bytes of any kind become machine code for this engine, which can be sent and kept.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::encode;
use super::error::LoadError;
use super::kind::Kind;
use super::load::one_line;

/// The longest line before the code, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// A compiled module: machine code, and what it was made of.
///
/// It runs as it is. So there are two ways to come by one: [`compile`], and [`Compiled::read`] of what it wrote, which is for
/// bytes that are known to come from there.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    kind: Kind,
    code: Bytes,
}

/// What stands before the code, on a line of its own.
#[derive(Serialize, Deserialize)]
enum Head {
    Compiled { kind: Kind, bytes: u64 },
    Refused(LoadError),
}

/// Compiles a module. Nothing of it is run.
pub(super) fn compile(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<Compiled, LoadError> {
    let (component, kind) = encode::component(bytes)?;
    let code =
        engine.precompile_component(&component).map_err(|error| LoadError::Invalid(one_line(&format!("{error:#}"))))?;
    Ok(Compiled { kind, code: code.into() })
}

/// What machine code depends on beside the module: the engine's version and its configuration, and this processor.
pub(super) fn target(engine: &wasmtime::Engine) -> String {
    let mut hasher = DefaultHasher::new();
    // The version of wasmtime is part of it.
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

impl Compiled {
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn code(&self) -> &[u8] {
        &self.code
    }

    /// The line before the code, when it is sent or kept.
    pub(super) fn head(&self) -> Vec<u8> {
        line(&Head::Compiled { kind: self.kind, bytes: self.code.len() as u64 })
    }

    /// Reads what was sent or kept; none where it is cut off or nothing of ours.
    pub(super) fn read(sent: &Bytes) -> Option<Result<Self, LoadError>> {
        let end = sent.iter().take(MAX_HEAD).position(|byte| *byte == b'\n')?;
        let code = sent.slice(end + 1..);
        match serde_json::from_slice(&sent[..end]).ok()? {
            Head::Compiled { kind, bytes } if bytes == code.len() as u64 => Some(Ok(Self { kind, code })),
            Head::Compiled { .. } => None,
            Head::Refused(error) => Some(Err(error)),
        }
    }
}

/// What is sent in place of code where there is none.
pub(super) fn refusal(error: LoadError) -> Vec<u8> {
    line(&Head::Refused(error))
}

fn line(head: &Head) -> Vec<u8> {
    // Fails for maps without text as keys, of which there are none.
    let mut line = serde_json::to_vec(head).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_configuration_is_another_target() {
        let usual = wasmtime::Engine::default();
        let other = wasmtime::Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        assert_eq!(target(&usual), target(&wasmtime::Engine::default()));
        assert_ne!(target(&usual), target(&other));
    }

    #[test]
    fn a_line_without_an_end_is_not_read() {
        let refusal = |blanks: usize| [vec![b' '; blanks], refusal(LoadError::Nested)].concat().into();
        assert!(matches!(Compiled::read(&refusal(10)), Some(Err(LoadError::Nested))));
        assert!(Compiled::read(&refusal(MAX_HEAD)).is_none());
    }
}
