//! `soloist job build`: runs a project's own build command, and looks at what came of it.

mod rust;
mod tools;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::super::output::WithHint as _;
use super::super::signals::Signals;
use super::project::Project;
use super::{compile, inspect, load};
use crate::files;
use crate::module::MAX_MODULE_BYTES;
use crate::runtime::{CompileLimits, Compiler, Engine, LoadError, Module};
use tools::Tools;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The project's folder.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.folder)?;
    let mut signals = Signals::new()?;
    let compiler = super::compiler(CompileLimits::default())?;
    let checked = tokio::select! {
        made = make(&project, &compiler) => made?,
        signal = signals.next() => bail!("the build was stopped by {signal}"),
    };
    let module = match checked {
        Some(module) => module,
        None => load(&Engine::new()?, &project.module, &compiler).await?,
    };
    Ok(inspect::summary(&project.module.display().to_string(), &module))
}

/// Builds a project: afterwards its module is in place. What the command says goes to stderr. Gives the module, unless what is in
/// place is just that.
///
/// # Errors
/// A tool is missing, the command failed, or what it made is no module that an agent takes: then the one before stays in place.
pub(super) async fn make(project: &Project, compiler: &Compiler) -> anyhow::Result<Option<Module>> {
    let tools = tools::find(project)?;
    if let Some(folder) = project.output.parent() {
        fs::create_dir_all(folder).with_context(|| format!("the folder `{}` cannot be made", folder.display()))?;
    }
    let line = project.build.join(" ");
    tracing::info!("building: {line}");
    let mut child = Building(start(project, &tools)?);
    let status = child.0.wait().await.with_context(|| format!("`{line}` cannot be waited for"))?;
    drop(child);
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    let (output, module) = (&project.output, &project.module);
    if !output.is_file() {
        return Err(anyhow!("`{line}` ended well, and made no `{}`", output.display()))
            .hint("`output` in `job.toml` says what it makes");
    }
    let placing = || format!("the module `{}` cannot be put in place", module.display());
    let bytes = Bytes::from(complete(files::read(output, MAX_MODULE_BYTES).with_context(placing)?));
    if fs::read(module).is_ok_and(|old| old == bytes) {
        return Ok(None);
    }
    let checked = check(bytes.clone(), compiler).await.with_context(|| {
        let after = if module.exists() { "the one before stays" } else { "nothing is put" };
        format!("`{line}` made no module for an agent, and {after} in `{}`", module.display())
    })?;
    place(&bytes, module).with_context(placing)?;
    Ok(Some(checked))
}

/// Loads a module as an agent does that grants everything.
async fn check(bytes: Bytes, compiler: &Compiler) -> anyhow::Result<Module> {
    let engine = Engine::new()?;
    let module = compile(&engine, bytes, compiler).await??;
    let missing = inspect::missing(&module).next().cloned();
    match missing {
        None => Ok(module),
        Some(interface) => Err(LoadError::UnknownImport { interface }.into()),
    }
}

/// The types of the world `soloist:job/job`, as a custom section of a core module.
const TYPES: &[u8] = include_bytes!("../../../../guest-sdk/go/job.section");

/// A module as an agent takes it. The linkers of Go and Zig leave out what a core module's functions are, which makes no
/// component of it: it is put behind.
fn complete(mut bytes: Vec<u8>) -> Vec<u8> {
    const CORE: &[u8] = b"\0asm\x01\0\0\0";
    const SECTION: &[u8] = b"component-type";
    // A preview 1 command is complete without.
    const COMMAND: &[u8] = b"\x06_start";
    let has = |wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    if bytes.starts_with(CORE) && !has(SECTION) && !has(COMMAND) {
        bytes.extend_from_slice(TYPES);
    }
    bytes
}

/// A command with all that it has started: ended when nobody waits for it any more.
struct Building(Child);

impl Drop for Building {
    fn drop(&mut self) {
        // None once it has ended and was waited for.
        if let Some(group) = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

fn start(project: &Project, tools: &Tools) -> anyhow::Result<Child> {
    let words = tools.command(&project.build);
    let (program, arguments) = words.split_first().context("an empty command")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&project.folder).stdin(Stdio::null());
    // Stdout is for data; of what a build says, none is.
    command.stdout(io::stderr()).process_group(0);
    tools.apply(&mut command);
    command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => tools::missing(&project.build[0], project.language),
        _ => anyhow::Error::new(error).context(format!("`{program}` cannot be started")),
    })
}

/// Puts a file in place by renaming, so that an agent that follows it sees one change.
fn place(bytes: &[u8], to: &Path) -> io::Result<()> {
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".module-").tempfile_in(folder)?;
    io::Write::write_all(&mut file, bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // A temporary file is for its owner alone; a module is for the agent, whoever runs it.
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.persist(to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(folder: &Path, script: &str) -> Project {
        let build = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let (output, module) = (folder.join("out/a.wasm"), folder.join("a.wasm"));
        Project { folder: folder.to_owned(), name: "a".to_owned(), language: None, build, output, module }
    }

    #[tokio::test]
    async fn what_a_build_made_is_put_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let text = include_str!("../../../../jobs/heartbeat-wat/heartbeat.wat");
        fs::write(folder.path().join("a.wat"), text).unwrap();
        let project = project(folder.path(), "cp a.wat out/a.wasm");
        assert!(make(&project, &Compiler::here()).await.unwrap().is_some());
        assert_eq!(fs::read_to_string(folder.path().join("a.wasm")).unwrap(), text);
        assert!(make(&project, &Compiler::here()).await.unwrap().is_none(), "it is there already");
    }

    #[test]
    fn a_core_module_gets_its_types_once_and_nothing_else_does() {
        let core = wat::parse_str("(module (func (export \"run\")))").unwrap();
        let whole = complete(core.clone());
        assert_eq!(whole, [&core, TYPES].concat());
        assert_eq!(complete(whole.clone()), whole);
        for other in ["(component)", "(module (func (export \"_start\")))"] {
            let bytes = wat::parse_str(other).unwrap();
            assert_eq!(complete(bytes.clone()), bytes, "{other}");
        }
    }

    #[tokio::test]
    async fn a_build_that_fails_or_makes_nothing_leaves_the_module_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.wasm"), "old").unwrap();
        for (script, said) in [
            ("printf made >out/a.wasm; exit 3", "exit status: 3"),
            ("rm -f out/a.wasm", "made no"),
            ("printf made >out/a.wasm", "the one before stays"),
            ("printf '(component)' >out/a.wasm", "the one before stays"),
        ] {
            let error = format!("{:#}", make(&project(folder.path(), script), &Compiler::here()).await.unwrap_err());
            assert!(error.contains(said), "{error}");
        }
        assert_eq!(fs::read(folder.path().join("a.wasm")).unwrap(), b"old");
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_build_that_nobody_waits_for_is_ended_with_all_that_it_started() {
        use std::time::Duration;
        let folder = tempfile::tempdir().unwrap();
        let begun = folder.path().join("begun");
        let project = project(folder.path(), "sleep 1000 & echo $! >begun.new; mv begun.new begun; wait");
        let start = async {
            while !begun.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let compiler = Compiler::here();
        tokio::select! {
            _ = make(&project, &compiler) => panic!("it waits for what it started"),
            () = start => {}
        }
        let id = fs::read_to_string(&begun).unwrap();
        let path = format!("/proc/{}/stat", id.trim());
        let runs = || fs::read_to_string(&path).is_ok_and(|stat| !stat.contains(") Z "));
        let end = async {
            while runs() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), end).await.expect("it ends");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut project = project(folder.path(), "");
        project.build = vec!["soloist-no-such-tool".to_owned()];
        assert!(
            make(&project, &Compiler::here())
                .await
                .unwrap_err()
                .chain()
                .any(|part| part.to_string().contains("`soloist-no-such-tool`"))
        );
    }
}
