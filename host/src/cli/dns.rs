//! To come.

use std::process::ExitCode;

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// To come.
    Todo,
}

/// Does it.
pub async fn run(_command: Command) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}
