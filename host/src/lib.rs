//! Soloist: many independent agents, one of them plays.
//!
//! Agents agree over one DNS TXT record which of them runs a job this round; the winner runs the current
//! WebAssembly module in a sandbox. See `ARCHITECTURE.md` for the way data flows; imports point up this list.

mod files;

pub mod clock;

pub mod round;

pub mod arbiter;

pub mod dns;

pub mod module;

pub mod runtime;

pub mod capability;

pub mod config;

pub mod agent;

pub mod cli;
