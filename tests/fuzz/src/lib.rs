//! What bytes from outside meet first, each as a function that takes any bytes and panics if a promise is broken.
//!
//! The modules of the host that judge such bytes are compiled from their own files, without the rest of the host.

#![forbid(unsafe_code)]

#[allow(dead_code, reason = "only what the included modules need")]
#[path = "../../../host/src/files.rs"]
mod files;

#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../host/src/round/mod.rs"]
pub mod round;

pub mod arbiter;
pub mod dns;
pub mod target;
