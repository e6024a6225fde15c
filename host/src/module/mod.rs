//! Where a job's module comes from, and how the current one is swapped: a bad module never replaces a good one, and a round
//! never waits for a compiler.
//!
//! A [`Slot`] follows one [`Source`] in the background. What it finds there must be [`Trusted`]; then it goes through a [`Loader`],
//! which compiles and checks it, and becomes [`Slot::current`] if it passes. This folder knows nothing of what a loaded module is.

mod access;
mod digest;
mod download;
mod file;
mod follow;
mod kept;
mod load;
mod mailbox;
mod oci;
mod pointer;
mod slot;
mod source;
mod stamp;
mod store;
mod trust;
mod watch;

pub use access::{Access, Origin, REQUEST_TIMEOUT};
pub use digest::Digest;
pub use download::client;
pub use kept::Keep;
pub use load::{LoadError, Loader};
pub use oci::Image;
pub use pointer::{Pointed, Pointer};
pub use slot::{Counters, Loaded, Refusal, Slot, Trouble};
pub(crate) use stamp::Stamp;
pub(crate) use watch::Watch;

pub use source::{Source, SourceError, Unavailable};
pub use store::{DEFAULT_SIZE, Hold, Last, MAX_CODE_BYTES, MIN_SIZE, Store};
pub use trust::{Distrust, MAX_PINS, MAX_SIGNATURE_BYTES, Trust, TrustError, Trusted, Why};

/// The largest module that is read, in bytes: 64 MiB.
pub const MAX_MODULE_BYTES: u64 = 64 << 20;
