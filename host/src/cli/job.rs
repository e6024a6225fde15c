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
use bytes::Bytes;

use super::log::LogFormat;
use super::output::WithHint as _;
use crate::agent;
use crate::capability::{Services, ServicesConfig};
use crate::module::{Digest, MAX_MODULE_BYTES, Origin, Source, SourceError, Trust};
use crate::runtime::{CompileLimits, Compiler, Engine, LoadError, Module};

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
async fn load(engine: &Engine, file: &Path, compiler: &Compiler) -> anyhow::Result<Module> {
    let text = file.to_string_lossy();
    let bytes = match Source::parse(&text, Path::new("")) {
        Ok(Source::File(_)) | Err(SourceError::Empty) => read(file).await?,
        Ok(source) => fetch(source).await?,
        Err(error) => {
            let hint = error.hint();
            return Err(anyhow::Error::new(error)).hint(hint);
        }
    };
    compile(engine, bytes, compiler).await?.with_context(|| format!("the module `{text}` cannot be loaded"))
}

/// What compiles as an agent does it: in a process of its own, within these limits.
fn compiler(limits: CompileLimits) -> anyhow::Result<Compiler> {
    Ok(Compiler::child(super::program()?, limits))
}

/// Compiles a module on a thread that may block.
async fn compile(engine: &Engine, bytes: Bytes, compiler: &Compiler) -> anyhow::Result<Result<Module, LoadError>> {
    let (engine, compiler) = (engine.clone(), compiler.clone());
    let compiling = tokio::task::spawn_blocking(move || compiler.load(&engine, Digest::of(&bytes), &bytes));
    Ok(compiling.await?)
}

/// Fetches it as an agent would, once.
async fn fetch(source: Source) -> anyhow::Result<Bytes> {
    let services = Services::new(&ServicesConfig::default(), Path::new("."))?;
    let access = agent::module_access(&services)?;
    let module = Origin { source, trust: Trust::default(), access }.fetch().await?;
    Ok(module.bytes().clone())
}

/// Reads a file on a thread that may block.
async fn read(file: &Path) -> anyhow::Result<Bytes> {
    let path = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || -> std::io::Result<Result<Bytes, LoadError>> {
        let metadata = std::fs::metadata(&path)?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("it is no file"));
        }
        if metadata.len() > MAX_MODULE_BYTES {
            return Ok(Err(LoadError::TooLarge(metadata.len())));
        }
        Ok(Ok(std::fs::read(&path)?.into()))
    });
    let read = reading.await?.with_context(|| format!("the module `{}` cannot be read", file.display()))?;
    read.with_context(|| format!("the module `{}` cannot be loaded", file.display()))
}
