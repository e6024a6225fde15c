//! Where modules are compiled for an agent: in a process of its own, so that no module delays a round or takes the agent down;
//! or not at all, where the store has what was compiled before.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::child;
use super::compile::{self, Compiled};
use super::engine::Engine;
use super::error::LoadError;
use super::load::{Module, check_size};
use crate::module::{Digest, Store};

/// What compiling one module may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Memory, in bytes. By default 1 GiB: a JavaScript module of 13 MB takes 330 MB.
    pub memory: u64,
    /// Time of one processor. By default two minutes. By the clock it may take ten times as long: it runs at a low
    /// priority.
    pub time: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { memory: 1 << 30, time: Duration::from_secs(120) }
    }
}

/// Makes modules of bytes. Clones share the store.
#[derive(Debug, Clone, Default)]
pub struct Compiler {
    place: Place,
    store: Option<Store>,
}

/// Where it compiles.
#[derive(Debug, Clone, Default)]
enum Place {
    /// In this process, without limits.
    #[default]
    Here,
    /// In a process of this program, started as `PROGRAM compile`.
    Child(PathBuf, CompileLimits),
}

impl Compiler {
    /// Compiles in this process, without limits on time and memory: for one module, in a program that ends with it.
    pub fn here() -> Self {
        Self::default()
    }

    /// Compiles in a process of its own for each module, by starting `program` as `soloist compile`, at a low priority and
    /// with limits.
    pub const fn child(program: PathBuf, limits: CompileLimits) -> Self {
        Self { place: Place::Child(program, limits), store: None }
    }

    /// Keeps what it compiles in this store, and looks there first.
    #[must_use]
    pub fn with_store(self, store: Option<Store>) -> Self {
        Self { store, ..self }
    }

    /// The store, where there is one.
    pub const fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Makes a module of its bytes. It blocks: milliseconds for what the store has, else until it is compiled.
    ///
    /// # Errors
    /// What kind of thing the bytes are instead, what is missing in them, or why they cannot be compiled.
    pub fn load(&self, engine: &Engine, digest: Digest, bytes: &Bytes) -> Result<Module, LoadError> {
        check_size(bytes)?;
        let Some(store) = &self.store else {
            return Module::from_compiled(engine, digest, bytes.len(), &self.compile(engine, bytes)?, None);
        };
        let target = compile::target(engine.wasmtime());
        if let Some(module) = kept(store, engine, digest, bytes, &target) {
            return Ok(module);
        }
        let compiled = self.compile(engine, bytes)?;
        let hold = store.keep_module(digest, bytes);
        store.keep_compiled(digest, &target, &[&compiled.head(), compiled.code()]);
        Module::from_compiled(engine, digest, bytes.len(), &compiled, hold)
    }

    fn compile(&self, engine: &Engine, bytes: &[u8]) -> Result<Compiled, LoadError> {
        match &self.place {
            Place::Here => compile::compile(engine.wasmtime(), bytes),
            Place::Child(program, limits) => child::compile(program, *limits, bytes),
        }
    }
}

/// The module as the store has it; none where it is not there, or cannot be used.
fn kept(store: &Store, engine: &Engine, digest: Digest, bytes: &[u8], target: &str) -> Option<Module> {
    let payload = store.compiled(digest, target)?;
    let Some(Ok(compiled)) = Compiled::read(&payload) else {
        store.forget_compiled(digest, target, "it is in no format that is known here");
        return None;
    };
    let hold = store.keep_module(digest, bytes);
    match Module::from_compiled(engine, digest, bytes.len(), &compiled, hold) {
        Ok(module) => {
            tracing::debug!(event = "store", digest = digest.short(), "the module was compiled before");
            Some(module)
        }
        Err(error) => {
            store.forget_compiled(digest, target, &error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These bytes, as if they were the code of a module.
    fn sealed(bytes: &[u8]) -> Vec<u8> {
        let kind = r#"{"form":"Component","world":"Job","text":true}"#;
        [format!("{{\"Compiled\":{{\"kind\":{kind},\"bytes\":{}}}}}\n", bytes.len()).as_bytes(), bytes].concat()
    }

    #[test]
    fn a_module_is_in_the_store_as_long_as_it_is_in_use_and_what_cannot_be_used_is_made_anew() {
        let home = tempfile::tempdir().unwrap();
        // What is not in use has no room.
        let store = Store::open(home.path(), 1).unwrap();
        let compiler = Compiler::here().with_store(Some(store.clone()));
        let engine = Engine::new().unwrap();
        let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/wat/ok.wat")).unwrap();
        let (digest, bytes) = (Digest::of(&text), Bytes::from(text));
        let target = compile::target(engine.wasmtime());
        let is_kept = || {
            // What is new makes room for itself.
            let another = rand::random::<[u8; 16]>();
            drop(store.keep_module(Digest::of(&another), &another));
            store.module(digest).is_some() && store.compiled(digest, &target).is_some()
        };
        let first = compiler.load(&engine, digest, &bytes).unwrap();
        assert!(is_kept(), "it was compiled");
        let second = compiler.load(&engine, digest, &bytes).unwrap();
        drop(first);
        assert!(is_kept(), "it was compiled before");

        // Sealed by us, and of no use: no code at all, and none of this engine.
        for parts in [b"nonsense".as_slice(), &sealed(&bytes)] {
            store.keep_compiled(digest, &target, &[parts]);
            assert!(kept(&store, &engine, digest, &bytes, &target).is_none());
            assert!(store.compiled(digest, &target).is_none(), "it is removed");
        }
        drop(compiler.load(&engine, digest, &bytes).unwrap());
        assert!(kept(&store, &engine, digest, &bytes, &target).is_some());
        drop(second);
        assert!(!is_kept(), "nobody uses it");
    }

    #[test]
    fn what_is_too_large_is_not_compiled() {
        let bytes = Bytes::from(vec![b' '; usize::try_from(crate::module::MAX_MODULE_BYTES).unwrap() + 1]);
        let error = Compiler::here().load(&Engine::new().unwrap(), Digest::of(b""), &bytes).unwrap_err();
        assert_eq!(error, LoadError::TooLarge(crate::module::MAX_MODULE_BYTES + 1));
    }
}
