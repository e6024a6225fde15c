//! The command line: one file a subcommand, each with its arguments and a `run`.

pub mod compile;
pub mod demo;
mod descriptors;
pub mod dns;
pub mod dumps;
mod hints;
pub mod init;
pub mod job;
mod keyfile;
pub mod log;
pub mod output;
pub mod run;
pub mod schedule;
pub mod seal;
mod signals;
pub mod status;
pub mod steer;
mod write;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::log::LogFormat;

/// The environment variable that chooses how log lines look.
const LOG_FORMAT: &str = "SOLOIST_LOG_FORMAT";

/// Many independent agents, one of them plays.
///
/// Agents agree over one DNS TXT record which of them runs a job this round; the winner runs it as WebAssembly.
#[derive(Debug, Parser)]
#[command(name = "soloist", version, propagate_version = true, after_help = ENVIRONMENT)]
pub struct Cli {
    /// How log lines and errors on stderr look: `pretty` for people, `json` for machines.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value_t,
        env = LOG_FORMAT,
        hide_env = true,
        hide_possible_values = true,
        display_order = 900
    )]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const ENVIRONMENT: &str = "\
Environment:
  SOLOIST_LOG         Which log lines are shown: `debug`, or `info,soloist::agent=debug` [default: info]
  SOLOIST_LOG_FORMAT  Instead of --log-format
  SOLOIST_AGENT_NAME  The agent's name, before `[agent] name`
  NO_COLOR            No colours, if it is set";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show it all on this machine: a DNS server, three agents, a job; nothing to install.
    Demo(demo::Args),
    /// Run an agent: take part in every job of a configuration.
    ///
    /// A change of the configuration, or SIGHUP, adds, changes and removes jobs without a restart; jobs of which it says the same
    /// go on untouched. One that is refused changes nothing, and the log says why.
    Run(run::Args),
    /// Show a job's record as the zone's servers have it: who ran last, how it went, what is next.
    Status(status::Args),
    /// Show when a job is due next, on its time zone's clock and in UTC; nobody is asked.
    Schedule(schedule::Args),
    /// Let no round of a job begin any more, on any agent.
    Pause(steer::PauseArgs),
    /// Let the rounds of a paused job begin again, with the next due time.
    Resume(steer::Args),
    /// Run a job once, now, whatever its schedule and a pause say: on one of its agents.
    Trigger(steer::Args),
    /// Say which module of a job is to run, where its agents are to run the same one.
    Module(steer::ModuleArgs),
    /// Create a job's record, or repair one that cannot be read.
    Init(init::Args),
    /// Write and try jobs: run a module once, or see what it needs.
    #[command(subcommand)]
    Job(job::Command),
    /// The embedded authoritative DNS server, and the keys that updates are signed with.
    #[command(subcommand)]
    Dns(dns::Command),
    /// The key that records are sealed with, against changes by others or their eyes.
    #[command(subcommand)]
    Seal(seal::Command),
    /// Compile a module that comes on stdin: what an agent starts, and people do not.
    #[command(hide = true)]
    Compile(compile::Args),
}

impl Cli {
    /// Parses the process's arguments. Where they are none of ours, or ask for help, that is said already.
    ///
    /// # Errors
    /// The exit code: 0 for help, 2 for a mistake.
    pub fn from_arguments() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            if error.use_stderr() && wants_json() {
                let text = error.render().to_string();
                let problem: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
                let tip = text.lines().find_map(|line| line.trim_start().strip_prefix("tip: "));
                let hint = tip.unwrap_or("`soloist --help` lists what there is");
                output::print_problem(problem.join(" ").trim_start_matches("error: "), Some(hint), LogFormat::Json);
            } else {
                // Where it cannot be printed, there is nobody to tell.
                let _ = error.print();
            }
            if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
        })
    }

    /// Does what is to be done by one thread, in a process with bounds: none where it is something else.
    pub fn alone(&self) -> Option<anyhow::Result<ExitCode>> {
        match &self.command {
            Command::Compile(args) => Some(compile::run(args)),
            _ => None,
        }
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// Whatever a command could not do: the chain says what and where, an [`output::Hint`] in it what to try.
    pub async fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Run(args) => run::run(args).await,
            Command::Status(args) => status::run(args).await,
            Command::Schedule(args) => schedule::run(&args),
            Command::Pause(args) => steer::pause(args).await,
            Command::Resume(args) => steer::resume(args).await,
            Command::Trigger(args) => steer::trigger(args).await,
            Command::Module(args) => steer::module(args).await,
            Command::Init(args) => init::run(args).await,
            Command::Job(command) => job::run(command, self.log_format).await,
            Command::Dns(command) => dns::run(command).await,
            Command::Seal(command) => seal::run(&command),
            Command::Compile(args) => compile::run(&args),
        }
    }
}

/// This program, to be started again: also where another version was put in its place meanwhile.
///
/// # Errors
/// The system does not tell it.
fn program() -> std::io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") {
        // What runs, and not what stands at its path now.
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe()
}

/// Whether arguments that do not parse ask for JSON nevertheless.
fn wants_json() -> bool {
    let arguments: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    arguments.iter().any(|argument| argument == "--log-format=json")
        || arguments.windows(2).any(|pair| pair[0] == "--log-format" && pair[1] == "json")
        || std::env::var(LOG_FORMAT).is_ok_and(|format| format == "json")
}
