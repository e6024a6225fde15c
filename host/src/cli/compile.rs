//! `soloist compile`: what an agent starts to compile a module. Not for people.

use std::process::ExitCode;
use std::time::Duration;

use crate::runtime::{self, CompileLimits};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How much memory it may have, in bytes.
    #[arg(long)]
    memory: u64,
    /// How many seconds of a processor's time it may take.
    #[arg(long)]
    seconds: u64,
}

/// Compiles the module that comes on stdin, within limits. It starts no thread before those stand.
///
/// # Errors
/// The pipes are broken, or a limit cannot be set.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let limits = CompileLimits { memory: args.memory, time: Duration::from_secs(args.seconds) };
    runtime::compile_for_parent(limits).map(|()| ExitCode::SUCCESS)
}
