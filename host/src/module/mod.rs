//! Where a job's module comes from, and how the current one is swapped: a bad module never replaces a good one, and a round
//! never waits for a compiler.
//!
//! A [`Slot`] follows one [`Source`] in the background. What it finds there goes through a [`Loader`], which compiles and checks
//! it, and becomes [`Slot::current`] if it passes. This folder knows nothing of what a loaded module is.

mod digest;
mod download;
mod file;
mod load;
mod slot;
mod source;
mod stamp;
mod store;
mod watch;

pub(crate) use watch::Watch;

pub use digest::Digest;
pub use download::client;
pub use load::{LoadError, Loader};
pub use slot::{Counters, Loaded, Refusal, Slot, Trouble};
pub use source::{Source, SourceError, Unavailable};
pub use store::{DEFAULT_SIZE, Hold, Last, MAX_CODE_BYTES, MIN_SIZE, Store};

/// The largest module that is read, in bytes: 64 MiB.
pub const MAX_MODULE_BYTES: u64 = 64 << 20;
