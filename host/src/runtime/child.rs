//! Compiling in a child process: what goes over the pipes, how the child is bounded, and what its end means.
//!
//! The child reads a length of 8 bytes (little-endian) and as many bytes of a module from its stdin, and writes what it made of
//! them to its stdout. Its stdin stays open as long as its parent lives, and it ends when that is closed.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::compile::{self, Compiled};
use super::compiler::CompileLimits;
use super::engine;
use super::error::LoadError;
use super::log::clean;
use crate::module::{MAX_CODE_BYTES, MAX_MODULE_BYTES};

/// The subcommand that is the child.
pub const SUBCOMMAND: &str = "compile";

/// How much longer than its processor time a compilation may take by the clock: at a low priority it waits for all else.
const PATIENCE: u32 = 10;

/// How much of what the child says on stderr is kept, in bytes.
const SAID: u64 = 16 * 1024;

/// How often, and how long apart, it is tried to start the child: a machine may be short of processes for a moment.
const STARTS: u32 = 3;
const START_AGAIN: Duration = Duration::from_millis(500);

/// How nice the child is: it gives way to all that is usual, and the most there is, 19, would starve on a busy machine.
const NICE: i32 = 10;

/// Compiles a module in a child process, and waits for its end.
pub(super) fn compile(program: &Path, limits: CompileLimits, bytes: &[u8]) -> Result<Compiled, LoadError> {
    let child = start(program, limits).map_err(|error| LoadError::CompilerMissing(error.to_string()))?;
    let heard = listen(child, limits, bytes);
    match Compiled::read(&heard.output) {
        Some(answer) => answer,
        None => Err(heard.explain(limits)),
    }
}

fn start(program: &Path, limits: CompileLimits) -> io::Result<Child> {
    let mut command = Command::new(program);
    command
        .arg(SUBCOMMAND)
        .args(["--memory", &limits.memory.to_string()])
        .args(["--seconds", &limits.time.as_secs().max(1).to_string()])
        // Secrets may stand in the environment, and the child needs none of it.
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut attempt = 1;
    loop {
        match command.spawn() {
            Err(error) if attempt < STARTS && error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%error, attempt, "the compiler cannot be started; once more");
                attempt += 1;
                std::thread::sleep(START_AGAIN);
            }
            started => return started,
        }
    }
}

/// What came from a child, and how it ended.
struct Heard {
    output: Bytes,
    said: String,
    status: Option<ExitStatus>,
    out_of_time: bool,
}

/// Gives the child its work, takes what it answers, and sees to its end.
fn listen(mut child: Child, limits: CompileLimits, bytes: &[u8]) -> Heard {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (told, answered) = mpsc::channel();
    std::thread::scope(|scope| {
        let given = scope.spawn(move || give(stdin, bytes));
        let output = scope.spawn(move || {
            let output = take(stdout, MAX_CODE_BYTES);
            // Nobody waits any more: the child was killed.
            let _ = told.send(());
            output
        });
        let said = scope.spawn(move || take(stderr, SAID));
        let out_of_time = answered.recv_timeout(limits.time.saturating_mul(PATIENCE)).is_err();
        if out_of_time {
            // Fails where it has ended by now.
            let _ = child.kill();
        }
        let output = Bytes::from(output.join().unwrap_or_default());
        // Before its stdin is given up: one that has closed its stdout may neither read nor end.
        let status = end(&mut child);
        drop(given.join());
        let said = String::from_utf8_lossy(&said.join().unwrap_or_default()).into_owned();
        Heard { output, said, status, out_of_time }
    })
}

/// Writes the module, and gives the pipe back, which is to stay open until the answer is there.
fn give(stdin: Option<ChildStdin>, bytes: &[u8]) -> Option<ChildStdin> {
    let mut stdin = stdin?;
    // A child that does not read to the end has ended, and that shows in its answer.
    let _ = stdin.write_all(&(bytes.len() as u64).to_le_bytes()).and_then(|()| stdin.write_all(bytes));
    Some(stdin)
}

/// Reads a pipe to its end; what is beyond `most` is dropped.
fn take(pipe: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.by_ref().take(most).read_to_end(&mut bytes);
        let _ = io::copy(&mut pipe, &mut io::sink());
    }
    bytes
}

/// Waits for the end of a child that has nothing more to say.
fn end(child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            Ok(status) => return status,
            Err(_) => break,
        }
    }
    let _ = child.kill();
    child.wait().ok()
}

impl Heard {
    /// Why there is no answer.
    fn explain(&self, limits: CompileLimits) -> LoadError {
        let signal = self.status.and_then(signal);
        // What the kernel sends at the limit on processor time, first to be heard and then to be obeyed.
        if self.out_of_time || signal == Some(SIGXCPU) {
            return LoadError::CompilerTime(limits.time);
        }
        // What Rust says before it aborts, and what a system call says.
        if self.said.contains("memory allocation of") || self.said.contains("Cannot allocate memory") {
            return LoadError::CompilerMemory(limits.memory);
        }
        let last = self.said.lines().rev().find(|line| !line.trim().is_empty()).map(|line| clean(line.trim(), 512));
        let how = match (signal, self.status.and_then(|status| status.code())) {
            (Some(SIGKILL), _) => "it was killed, perhaps because the machine has no memory left".to_owned(),
            (Some(signal), _) => format!("it was ended by signal {signal}"),
            (None, Some(code)) => format!("it exited with {code}"),
            (None, None) => "it ended".to_owned(),
        };
        LoadError::CompilerCrash(last.map_or_else(|| how.clone(), |last| format!("{how}, and said: {last}")))
    }
}

const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    status.signal()
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// The child: bounds itself, compiles the module that comes on stdin, and writes what it made of it to stdout.
///
/// Whatever goes wrong ends the process, which is what it is for.
///
/// # Errors
/// The pipes are broken, or a limit cannot be set.
pub fn compile_for_parent(limits: CompileLimits) -> anyhow::Result<()> {
    bound(limits)?;
    let module = read_module(&mut io::stdin().lock())?;
    end_with_parent()?;
    let answer = wasmtime::Engine::new(&engine::config())
        .map_err(|error| LoadError::CompilerCrash(format!("{error:#}")))
        .and_then(|engine| compile::compile(&engine, &module));
    let mut stdout = io::stdout().lock();
    match answer {
        Ok(compiled) => {
            stdout.write_all(&compiled.head())?;
            stdout.write_all(compiled.code())?;
        }
        Err(error) => stdout.write_all(&compile::refusal(error))?,
    }
    stdout.flush()?;
    // Without tidying up: the memory goes back at once, whatever its shape.
    std::process::exit(0)
}

/// Puts a bound on this process.
fn bound(limits: CompileLimits) -> io::Result<()> {
    let limit =
        |resource, soft: u64, hard: u64| setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) });
    // What it writes to, and not what it merely reserves or maps from its own program.
    limit(Resource::Data, limits.memory, limits.memory)?;
    limit(Resource::Cpu, limits.time.as_secs(), limits.time.as_secs() + 2)?;
    limit(Resource::Core, 0, 0)?;
    // Not on top of what the thread had that started it.
    rustix::process::setpriority_process(None, NICE)?;
    Ok(())
}

fn read_module(stdin: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    stdin.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_MODULE_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the module is too large"));
    }
    let mut module = Vec::new();
    stdin.take(length).read_to_end(&mut module)?;
    if module.len() as u64 == length { Ok(module) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Ends this process with its parent, whose end closes our stdin, however it comes.
fn end_with_parent() -> io::Result<()> {
    let watch = || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(1);
    };
    std::thread::Builder::new().name("soloist-parent".to_owned()).spawn(watch).map(|_| ())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    /// A program that is no compiler.
    fn program(home: &tempfile::TempDir, script: &str) -> PathBuf {
        let path = home.path().join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn fails(script: &str, limits: CompileLimits) -> LoadError {
        let home = tempfile::tempdir().unwrap();
        // More than a pipe holds, so that a child that does not read is noticed.
        compile(&program(&home, script), limits, &vec![0; 1 << 20]).unwrap_err()
    }

    #[test]
    fn whatever_ends_the_compiler_is_a_refusal() {
        let limits = CompileLimits::default();
        let crash = |script| match fails(script, limits) {
            LoadError::CompilerCrash(how) => how,
            other => panic!("{script}: {other}"),
        };
        assert_eq!(crash("echo no such thing >&2; exit 3"), "it exited with 3, and said: no such thing");
        assert_eq!(crash("kill -SEGV $$"), "it was ended by signal 11");
        assert!(crash("kill -KILL $$").starts_with("it was killed"));
        assert_eq!(crash("echo '{\"Compiled\":'; exit 0"), "it exited with 0");
        let cut =
            r#"echo '{"Compiled":{"kind":{"form":"Component","world":"Job","text":false},"bytes":9}}'; printf short"#;
        assert_eq!(crash(cut), "it exited with 0");
        assert_eq!(
            fails("echo memory allocation of 4096 bytes failed >&2; kill -ABRT $$", limits),
            LoadError::CompilerMemory(limits.memory)
        );
        // As the dynamic linker and Rust's threads say it.
        let refused = "echo 'Cannot allocate memory (os error 12)' >&2; exit 101";
        assert_eq!(fails(refused, limits), LoadError::CompilerMemory(limits.memory));
        assert_eq!(fails("kill -XCPU $$", limits), LoadError::CompilerTime(limits.time));
        // One that has nothing more to say, and stays.
        assert!(crash("exec >&- 2>&-; exec sleep 600").starts_with("it was killed"));
    }

    #[test]
    fn a_compiler_that_only_waits_its_turn_is_waited_for() {
        let limits = CompileLimits { time: Duration::from_secs(2), ..CompileLimits::default() };
        assert!(matches!(fails("sleep 3; exit 3", limits), LoadError::CompilerCrash(_)));
    }

    #[test]
    fn a_compiler_that_cannot_be_started_for_a_moment_is_started_then() {
        let home = tempfile::tempdir().unwrap();
        let path = program(&home, "echo here >&2; exit 3");
        // Text file busy.
        let busy = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let compiling = std::thread::spawn(move || compile(&path, CompileLimits::default(), b""));
        std::thread::sleep(Duration::from_millis(200));
        drop(busy);
        let error = compiling.join().unwrap().unwrap_err();
        assert_eq!(error, LoadError::CompilerCrash("it exited with 3, and said: here".to_owned()));
    }

    #[test]
    fn what_a_compiler_says_is_read_to_its_end_and_kept_up_to_a_limit() {
        let limits = CompileLimits::default();
        assert_eq!(
            fails("pwd >&2; exit 3", limits),
            LoadError::CompilerCrash("it exited with 3, and said: /".to_owned())
        );
        let LoadError::CompilerCrash(said) = fails("yes early | head -c 300000 >&2; echo late >&2; exit 3", limits)
        else {
            panic!("it is no compiler")
        };
        assert!(said.contains("it exited with 3, and said: ear"), "{said}");

        let mut pipe: &[u8] = b"four and more";
        assert_eq!(take(Some(&mut pipe), 4), b"four");
        assert!(pipe.is_empty(), "whoever writes it is not to wait");
    }

    #[test]
    fn what_is_read_is_a_whole_module_that_is_not_too_large() {
        let read = |length: u64, module: &[u8]| read_module(&mut [&length.to_le_bytes(), module].concat().as_slice());
        assert_eq!(read(4, b"four").unwrap(), b"four");
        assert_eq!(read(4, b"four and more").unwrap(), b"four");
        assert_eq!(read(5, b"four").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read(MAX_MODULE_BYTES + 1, b"four").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_compiler_that_hangs_is_ended() {
        let limits = CompileLimits { time: Duration::from_millis(30), ..CompileLimits::default() };
        assert_eq!(fails("exec sleep 600", limits), LoadError::CompilerTime(limits.time));
    }

    #[test]
    fn a_compiler_that_is_not_there_is_said_to_be() {
        let error = compile(Path::new("/none/such"), CompileLimits::default(), b"").unwrap_err();
        assert!(matches!(error, LoadError::CompilerMissing(_)), "{error}");
    }

    #[test]
    fn the_compiler_sees_nothing_of_the_environment() {
        // Set for every test of this process, by cargo.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let LoadError::CompilerCrash(said) = fails("export -p | grep -c CARGO >&2; exit 1", CompileLimits::default())
        else {
            panic!("it is no compiler")
        };
        assert_eq!(said, "it exited with 1, and said: 0");
    }
}
