//! `soloist job`: write and try jobs, here and without arbitration.

mod build;
mod inspect;
mod new;
mod project;
mod run;
mod watch;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::log::LogFormat;
use super::output::WithHint as _;
use crate::agent;
use crate::capability::{Services, ServicesConfig};
use crate::module::{MAX_MODULE_BYTES, Origin, Source, SourceError, Trust};
use crate::runtime::{Engine, LoadError, Module};

pub use run::{Job, once};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write a small project that builds and runs: a job in the language of your choice.
    New(new::Args),
    /// Build a project by its own command, and show what the module is and needs.
    ///
    /// Exits 0 if it can run on this host with its grants, 1 if it imports what this host does not have, 2 if there is no module.
    Build(build::Args),
    /// Run a module or a project once, here, without arbitration: its summary on stdout, its log on stderr.
    ///
    /// Exits 0 if the job returned a summary, 1 if the run failed, 2 if it could not be run.
    Run(Box<run::Args>),
    /// Show what a module is and needs: world, imports, grants, digest, size.
    ///
    /// Exits 0 if it can run on this host with its grants, 1 if it imports what this host does not have, 2 if it is no job.
    Inspect(inspect::Args),
}

/// Does it.
///
/// # Errors
/// The module could not be read or is no job, or an argument is wrong.
pub async fn run(command: Command, format: LogFormat) -> anyhow::Result<ExitCode> {
    match command {
        Command::New(args) => new::run(&args),
        Command::Build(args) => build::run(&args).await,
        Command::Run(args) => run::run(*args, format).await,
        Command::Inspect(args) => inspect::run(args).await,
    }
}

/// Reads and compiles a module: a file, or what `module` in a configuration may be besides.
async fn load(engine: &Engine, file: &Path) -> anyhow::Result<Module> {
    let text = file.to_string_lossy();
    match Source::parse(&text, Path::new("")) {
        Ok(Source::File(_)) | Err(SourceError::Empty) => load_file(engine, file).await,
        Ok(source) => load_remote(engine, source).await,
        Err(error) => {
            let hint = error.hint();
            Err(anyhow::Error::new(error)).hint(hint)
        }
    }
}

/// Fetches it as an agent would, once.
async fn load_remote(engine: &Engine, source: Source) -> anyhow::Result<Module> {
    let services = Services::new(&ServicesConfig::default(), Path::new("."))?;
    let (engine, access, place) = (engine.clone(), agent::module_access(&services)?, source.to_string());
    let module = Origin { source, trust: Trust::default(), access }.fetch().await?;
    let loaded = tokio::task::spawn_blocking(move || Module::load(&engine, module.bytes())).await?;
    loaded.with_context(|| format!("the module `{place}` cannot be loaded"))
}

/// Reads and compiles a file on a thread that may block.
async fn load_file(engine: &Engine, file: &Path) -> anyhow::Result<Module> {
    let (engine, path) = (engine.clone(), file.to_owned());
    let loaded = tokio::task::spawn_blocking(move || -> anyhow::Result<Result<Module, LoadError>> {
        let size = std::fs::metadata(&path).and_then(|metadata| {
            if metadata.is_file() { Ok(metadata.len()) } else { Err(std::io::Error::other("it is no file")) }
        })?;
        if size > MAX_MODULE_BYTES {
            return Ok(Err(LoadError::TooLarge(size)));
        }
        Ok(Module::load(&engine, &std::fs::read(&path)?))
    });
    let loaded = loaded.await?.with_context(|| format!("the module `{}` cannot be read", file.display()))?;
    loaded.with_context(|| format!("the module `{}` cannot be loaded", file.display()))
}
