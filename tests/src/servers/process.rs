//! A server's process: its output goes to a file, it can be frozen, and it is killed when this value is dropped.

use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// How much of a log an error shows, in bytes.
const LOG_TAIL: usize = 4096;

/// How often it is tried to start a program whose file is still open for writing.
const TRIES: u32 = 100;

/// A child process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it prints goes to the end of the log.
    pub fn spawn(program: &Path, arguments: &[&OsStr], log: &Path) -> Result<Self> {
        Self::spawn_by(Command::new(program), arguments, log)
    }

    /// The same, by a command that becomes the program.
    pub fn spawn_by(mut command: Command, arguments: &[&OsStr], log: &Path) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        command.args(arguments).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut tries = 1;
        let child = loop {
            match command.spawn() {
                // A program that was just copied: a child that another thread starts holds its file open until its own `exec`.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
                started => break started.with_context(|| format!("`{command:?}` cannot be started"))?,
            }
        };
        Ok(Self { child, log: log.to_owned() })
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Freezes it (SIGSTOP), and returns when all of it stands still: its sockets stay open, and nothing answers.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let status = waitpid(Some(self.pid()?), WaitOptions::UNTRACED)?;
        ensure!(status.is_some_and(|(_, status)| status.stopped()), "the process ended when it was to be frozen");
        Ok(())
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Makes it read its configuration again (SIGHUP).
    pub fn reload(&self) -> Result<()> {
        self.signal(Signal::HUP)
    }

    /// A path as the process sees it: it may have mounted something there.
    pub fn sees(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        path.strip_prefix("/").map_or_else(|_| path.to_owned(), |inside| root.join(inside))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.pid()?, signal)?)
    }

    fn pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("the process has no id")
    }

    /// The end of what it printed.
    pub fn log(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(LOG_TAIL)..];
        format!("the log `{}` ends with:\n{}", self.log.display(), String::from_utf8_lossy(tail))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        let _ = self.kill();
    }
}

/// A program that usually lives among the system's servers.
pub(crate) fn find(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .with_context(|| format!("`{name}` is not installed"))
}
