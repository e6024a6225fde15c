//! Lines in the agent's log, marked with the job and the fence. Granted to every job.
//!
//! ```no_run
//! use soloist_sdk::log;
//!
//! log::info!("asked {} of {}", 3, 7);
//! log::warn!("slow");
//! log::write(log::Level::Error, "broken");
//! ```
//!
//! The host cuts a message longer than 8 KiB and keeps at most 1,000 lines a run.

use crate::host::log as host;

pub use crate::{__debug as debug, __error as error, __info as info, __trace as trace, __warn as warn};

/// How serious a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every step.
    Trace,
    /// For the job's author.
    Debug,
    /// The ordinary course of things.
    Info,
    /// Odd, and the run goes on.
    Warn,
    /// Something failed.
    Error,
}

/// Writes one line.
pub fn write(level: Level, message: &str) {
    let level = match level {
        Level::Trace => host::Level::Trace,
        Level::Debug => host::Level::Debug,
        Level::Info => host::Level::Info,
        Level::Warn => host::Level::Warn,
        Level::Error => host::Level::Error,
    };
    host::log(level, message);
}

/// Writes a line of the level `trace`, formatted as by [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __trace {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Trace, &::std::format!($($message)+)) };
}

/// Writes a line of the level `debug`, formatted as by [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __debug {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($message)+)) };
}

/// Writes a line of the level `info`, formatted as by [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __info {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($message)+)) };
}

/// Writes a line of the level `warn`, formatted as by [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __warn {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($message)+)) };
}

/// Writes a line of the level `error`, formatted as by [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __error {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($message)+)) };
}
