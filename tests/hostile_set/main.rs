//! The hostile set: what attacks a host from inside a job or as its module is refused, counted, and the agent goes on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
mod modules;
mod names;
mod requests;
