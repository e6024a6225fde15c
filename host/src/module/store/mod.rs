//! The store on disk: modules and their machine code by digest, and the last good module of each job.
//!
//! It may be lost at any time, and any entry of it may be: what is missing, cut off or changed by others is removed, and made
//! anew. Any number of processes may share it. Trouble with the disk is said once, and costs what is kept, never a round.
//!
//! Architecture Invariant: machine code is read back only under a MAC over all of it, with a key that is in the store, for this
//! user alone, and never leaves it. Whoever may write there, but is not this user, cannot have code run.

mod entry;
mod evict;
mod key;
mod last;

#[cfg(test)]
mod tests;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::{Digest, MAX_MODULE_BYTES};
use entry::Context;
use key::Key;
pub use last::Last;

/// The most that a store holds where nothing else is said: 1 GiB.
pub const DEFAULT_SIZE: u64 = 1 << 30;

/// The least that a store may be told to hold: 16 MiB.
pub const MIN_SIZE: u64 = 16 << 20;

/// The largest machine code of one module that is kept or read back, in bytes: 1 GiB.
pub const MAX_CODE_BYTES: u64 = 1 << 30;

/// How often a module is looked for again that another process has just replaced by its equal.
const HOLD_ATTEMPTS: u32 = 32;

/// How long, and how often, it is waited for a process that removes a module: it takes microseconds, unless that process is stopped.
const HOLD_PATIENCE: Duration = Duration::from_secs(5);
const HOLD_PAUSE: Duration = Duration::from_millis(2);

/// A store. Clones share it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    size: u64,
    key: Key,
    /// What does not work, a bit for each kind of [`Work`]: as long as there is any, no more is said.
    failing: AtomicU8,
}

/// What a store does with its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Work {
    Read = 1,
    KeepModule = 2,
    KeepCompiled = 4,
    KeepLast = 8,
    TidyUp = 16,
}

impl Work {
    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::KeepModule | Self::KeepCompiled | Self::KeepLast => "keep",
            Self::TidyUp => "tidy up",
        }
    }
}

/// A module that is in use: no process evicts it as long as this is there.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "the lock is held by the open file")] File);

impl Store {
    /// Opens the store in this folder, and makes it if there is none. It holds at most about `size` bytes.
    ///
    /// # Errors
    /// The folder cannot be made or written to, or belongs to somebody else.
    pub fn open(root: &Path, size: u64) -> io::Result<Self> {
        for folder in ["", "modules", "compiled", "last", "tmp"] {
            entry::private_folder(&root.join(folder))?;
        }
        let key = Key::open(root)?;
        evict::remove_leftovers(&root.join("tmp"));
        Ok(Self(Arc::new(Inner { root: root.to_owned(), size, key, failing: AtomicU8::new(0) })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.root
    }

    /// The bytes of a module.
    pub fn module(&self, digest: Digest) -> Option<Bytes> {
        let path = self.module_path(digest);
        let bytes = self.tried(Work::Read, entry::read(&path, MAX_MODULE_BYTES))??;
        if Digest::of(&bytes) != digest {
            forget(&path, "its bytes are not those that its name says");
            return None;
        }
        entry::touch(&path, SystemTime::now());
        Some(bytes.into())
    }

    /// Keeps a module, and keeps it from being evicted until what is returned is dropped. None where it cannot be kept.
    pub fn keep_module(&self, digest: Digest, bytes: &[u8]) -> Option<Hold> {
        let path = self.module_path(digest);
        if let Some(hold) = self.hold(digest, bytes.len() as u64) {
            return Some(hold);
        }
        self.tried(Work::KeepModule, entry::write(&self.0.root, &path, &[bytes]))?;
        let hold = self.hold(digest, bytes.len() as u64);
        self.evict();
        hold
    }

    /// Holds a module that is there, with as many bytes as it has.
    fn hold(&self, digest: Digest, size: u64) -> Option<Hold> {
        let path = self.module_path(digest);
        for _ in 0..HOLD_ATTEMPTS {
            let file = File::open(&path).ok()?;
            // A file system without locks is no hindrance: it can be removed, and is written again when it is needed.
            let begun = Instant::now();
            while matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
                // Another process is about to remove it: what were written in its place now would be removed instead.
                if begun.elapsed() > HOLD_PATIENCE {
                    return None;
                }
                std::thread::sleep(HOLD_PAUSE);
            }
            // Removed or replaced between opening and locking: what is locked is no longer what stands there.
            if entry::is_same(&file, &path) {
                if file.metadata().ok()?.len() != size {
                    return None;
                }
                entry::touch(&path, SystemTime::now());
                return Some(Hold(file));
            }
        }
        None
    }

    /// The machine code of a module for a target, as it was kept: the bytes after the MAC, which fits.
    pub fn compiled(&self, digest: Digest, target: &str) -> Option<Bytes> {
        let path = self.compiled_path(digest, target);
        let context = Context::Compiled { digest: &digest, target };
        let sealed = self.tried(Work::Read, entry::read(&path, MAX_CODE_BYTES))??;
        let Some(payload) = self.0.key.open_sealed(context, &sealed.into()) else {
            forget(&path, "it is not as it was written here");
            return None;
        };
        entry::touch(&path, SystemTime::now());
        Some(payload)
    }

    /// Keeps machine code that was just compiled here, in parts that follow each other.
    pub fn keep_compiled(&self, digest: Digest, target: &str, parts: &[&[u8]]) {
        let path = self.compiled_path(digest, target);
        let seal = self.0.key.seal(Context::Compiled { digest: &digest, target }, parts);
        let sealed: Vec<&[u8]> = std::iter::once(seal.as_slice()).chain(parts.iter().copied()).collect();
        if self.tried(Work::KeepCompiled, entry::write(&self.0.root, &path, &sealed)).is_some() {
            self.evict();
        }
    }

    /// Removes machine code that cannot be used after all.
    pub fn forget_compiled(&self, digest: Digest, target: &str, why: &str) {
        forget(&self.compiled_path(digest, target), why);
    }

    /// Removes what was used least lately until the rest is no larger than it may be.
    fn evict(&self) {
        self.tried(Work::TidyUp, evict::evict(&self.0.root, self.0.size));
    }

    /// What came of it. Trouble is said once, until that which did not work does: on a disk that is nearly full, what is small
    /// is kept, and what is large is not.
    fn tried<T>(&self, work: Work, outcome: io::Result<T>) -> Option<T> {
        let error = match outcome {
            Ok(value) => {
                // That another file can be read says nothing of the one that could not.
                if work != Work::Read {
                    self.0.failing.fetch_and(!(work as u8 | Work::Read as u8), Ordering::Relaxed);
                }
                return Some(value);
            }
            Err(error) => error,
        };
        let (what, path) = (work.name(), self.0.root.display());
        if self.0.failing.fetch_or(work as u8, Ordering::Relaxed) == 0 {
            tracing::warn!(
                event = "store",
                %error,
                "cannot {what} in the store `{path}`: modules are compiled again at the next start"
            );
        } else {
            tracing::debug!(event = "store", %error, "cannot {what} in the store `{path}`");
        }
        None
    }

    fn module_path(&self, digest: Digest) -> PathBuf {
        self.0.root.join("modules").join(format!("{digest}.wasm"))
    }

    fn compiled_path(&self, digest: Digest, target: &str) -> PathBuf {
        self.0.root.join("compiled").join(format!("{digest}-{target}"))
    }
}

/// Removes an entry that cannot be used.
fn forget(path: &Path, why: &str) {
    let removed = std::fs::remove_file(path);
    tracing::warn!(
        event = "store",
        removed = removed.is_ok(),
        "`{}` is not used, and made anew when it is needed: {why}",
        path.display()
    );
}
