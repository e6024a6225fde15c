//! The command line: one file a subcommand, each with its arguments and a `run`.

pub mod demo;
pub mod dns;
pub mod init;
pub mod job;
pub mod output;
pub mod run;
mod settings;
mod signals;
pub mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Many independent agents, one of them plays.
///
/// Agents agree over one DNS TXT record which of them runs a job this round; the winner runs it as WebAssembly.
#[derive(Debug, Parser)]
#[command(name = "soloist", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// How log lines on stderr look: `pretty` for people, `json` for machines.
    #[arg(long, global = true, value_enum, default_value_t, env = "SOLOIST_LOG_FORMAT")]
    pub log_format: output::LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show it all on this machine: a DNS server, three agents, a job; nothing to install.
    Demo(demo::Args),
    /// Run an agent: take part in every job of a configuration.
    Run(run::Args),
    /// Show a job's record as the zone's servers have it: who ran last, how it went, what is next.
    Status(status::Args),
    /// Create a job's record, or repair one that cannot be read.
    Init(init::Args),
    /// Write and try jobs: run a module once, or see what it needs.
    #[command(subcommand)]
    Job(job::Command),
    /// The embedded authoritative DNS server.
    #[command(subcommand)]
    Dns(dns::Command),
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// Whatever a command could not do: the chain says what and where, an [`output::Hint`] in it what to try.
    pub async fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Run(args) => run::run(args).await,
            Command::Status(args) => status::run(args).await,
            Command::Init(args) => init::run(args).await,
            Command::Job(command) => job::run(command).await,
            Command::Dns(command) => dns::run(command).await,
        }
    }
}
