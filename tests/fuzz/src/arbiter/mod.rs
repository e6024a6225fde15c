//! The files of the host's `arbiter` that judge bytes, without those that own sockets.

#[path = "../../../../host/src/arbiter/error.rs"]
mod error;
#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../host/src/arbiter/options.rs"]
mod options;
#[allow(dead_code, unused_imports, reason = "not every part of it is fuzzed")]
#[path = "../../../../host/src/arbiter/presentation/mod.rs"]
pub mod presentation;
pub mod rfc2136;
#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../host/src/arbiter/rrset.rs"]
mod rrset;
#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../host/src/arbiter/tsig.rs"]
pub mod tsig;

pub use error::Error;
