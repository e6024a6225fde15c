//! What a run's end means: its outcome, and a reason on one line that says what to look at.
//!
//! A run that fails does so in one way, whatever its language calls it: with the language's own message where there is one
//! ([`words`]), and with the functions that it was in where the module has their names.

mod words;

use tracing::Level;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::facts::Stop;
use super::lease::LeaseLost;
use super::limits::Limits;
use super::log::{RunLog, clean};
use super::output::Flood;
use crate::round::Outcome;

/// Functions of a backtrace that are named in a reason.
const FRAMES: usize = 3;

/// Functions of a backtrace that are logged.
const LOGGED_FRAMES: usize = 32;

/// The longest name of a function that is shown, in bytes.
const MAX_NAME: usize = 160;

/// The exit status of a command that asks for another attempt: `EX_TEMPFAIL` of `sysexits.h`.
const RETRY_STATUS: i32 = 75;

/// How a run ended, before anybody judged it.
#[derive(Debug)]
pub(super) enum End {
    /// The job returned a summary.
    Summary(String),
    /// The job returned a failure that is worth a retry.
    Retry(String),
    /// The job returned a final failure.
    Final(String),
    /// It was stopped from outside.
    Stopped(Stop),
    /// It printed more than this many bytes.
    Flood(u64),
    /// A command ended with status 0: what it printed last is its summary.
    Printed,
    /// A command ended with this status.
    Status(i32),
    /// A job that is no command called `exit`.
    Exit(i32),
    /// It trapped, or a host function ended it.
    Trapped(wasmtime::Error),
    /// There was no run.
    NotStarted(wasmtime::Error),
}

impl End {
    /// The end that an error of the engine means.
    pub(super) fn from_error(error: wasmtime::Error, starting: bool) -> Self {
        if let Some(stop) = error.downcast_ref::<Stop>() {
            Self::Stopped(*stop)
        } else if error.is::<LeaseLost>() {
            Self::Stopped(Stop::LeaseLost)
        } else if let Some(flood) = error.downcast_ref::<Flood>() {
            Self::Flood(flood.0)
        } else if let Some(exit) = error.downcast_ref::<I32Exit>() {
            Self::Exit(exit.0)
        } else if starting && !error.is::<Trap>() {
            Self::NotStarted(error)
        } else {
            Self::Trapped(error)
        }
    }
}

/// The outcome and its reason; the reason is not yet cut to a line.
pub(super) fn verdict(end: End, refused_memory: bool, limits: &Limits, stderr: &str) -> (Outcome, String) {
    let over_memory = || format!("asked for more memory than the limit of {}", bytes(limits.memory as u64));
    match end {
        End::Summary(summary) => (Outcome::Ok, summary),
        End::Printed => (Outcome::Ok, String::new()),
        End::Retry(reason) => (Outcome::Retry, reason),
        End::Final(reason) => (Outcome::Error, reason),
        End::Stopped(Stop::Deadline) => (Outcome::Timeout, "still running at its deadline".to_owned()),
        End::Stopped(stop) => (Outcome::from(stop), format!("stopped: {stop}")),
        End::Flood(limit) => (Outcome::Output, format!("printed more than the limit of {}", bytes(limit))),
        End::Status(RETRY_STATUS) => (Outcome::Retry, format!("exit status {RETRY_STATUS}{}", last_words(stderr))),
        // A guest's allocator that was refused memory traps, panics or exits right away.
        End::Status(_) | End::Exit(_) | End::Trapped(_) | End::NotStarted(_) if refused_memory => {
            (Outcome::Memory, over_memory())
        }
        End::Status(status) => match words::of_panic(stderr) {
            Some(message) => (Outcome::Panic, format!("{message} (exit status {status})")),
            None => (Outcome::Error, format!("exit status {status}{}", last_words(stderr))),
        },
        End::Exit(code) => match words::of_panic(stderr) {
            Some(message) => (Outcome::Panic, format!("{message} (exit status {code})")),
            None => (Outcome::Trap, format!("called exit({code}) instead of returning{}", last_words(stderr))),
        },
        End::Trapped(error) => match words::of_panic(stderr) {
            Some(message) => (Outcome::Panic, message),
            None => (Outcome::Trap, format!("{}{}{}", cause(&error), functions(&error), last_words(stderr))),
        },
        End::NotStarted(error) => (Outcome::Host, format!("the run could not be started: {}", cause(&error))),
    }
}

/// Logs where a run was when it trapped: at most 32 functions, the innermost first.
pub(super) fn backtrace(end: &End, log: &RunLog) {
    let (End::Trapped(error) | End::NotStarted(error)) = end else { return };
    let frames = frames(error);
    // A single function that has no name says nothing that the reason does not say.
    if frames.iter().all(|frame| frame.name.is_none()) {
        return;
    }
    log.line(Level::WARN, "backtrace, the innermost function first:");
    for (number, frame) in frames.iter().take(LOGGED_FRAMES).enumerate() {
        let name = frame.name.as_deref().unwrap_or("(no name)");
        log.line(Level::WARN, &format!("{number:>3}: {name}, in {}", frame.module));
    }
    if frames.len() > LOGGED_FRAMES {
        log.line(Level::WARN, &format!("     and {} more", frames.len() - LOGGED_FRAMES));
    }
}

/// A number of bytes for people.
fn bytes(number: u64) -> String {
    match number {
        mib if mib >= 1 << 20 && mib.is_multiple_of(1 << 20) => format!("{} MiB", mib >> 20),
        kib if kib >= 1 << 10 && kib.is_multiple_of(1 << 10) => format!("{} KiB", kib >> 10),
        other => format!("{other} bytes"),
    }
}

/// The innermost cause, without the backtrace around it.
fn cause(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

/// A function of a backtrace.
struct Frame {
    /// Its name as it stood in the source; none where the module has none.
    name: Option<String>,
    /// The module that it is in.
    module: String,
}

/// The functions of a backtrace, each called by the next.
fn frames(error: &wasmtime::Error) -> Vec<Frame> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    // wasmtime tells demangled names in the text of the whole backtrace only: `  0: 0x61 - module!name`, a line a frame.
    let text = backtrace.to_string();
    let mut shown = text.lines().filter_map(|line| line.split_once(": ")?.1.split_once(" - ")?.1.split_once('!'));
    let frame = |info: &wasmtime::FrameInfo| {
        let (module, name) = shown.next().unwrap_or_default();
        let name = info.func_name().map(|mangled| clean(if name.is_empty() { mangled } else { name }, MAX_NAME));
        Frame { name, module: clean(module, MAX_NAME) }
    };
    backtrace.frames().iter().map(frame).collect()
}

/// The innermost named functions.
fn functions(error: &wasmtime::Error) -> String {
    let names = frames(error).into_iter().filter_map(|frame| frame.name).take(FRAMES);
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { String::new() } else { format!(", in {}", names.join(", called by ")) }
}

/// The last line on stderr, where most languages say what went wrong before they trap.
fn last_words(stderr: &str) -> String {
    match stderr.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("; last on stderr: {}", line.trim()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_after_refused_memory_is_of_memory() {
        let trap = || End::Trapped(wasmtime::Error::new(Trap::UnreachableCodeReached));
        let limits = Limits { memory: 1 << 20, ..Limits::default() };
        let (outcome, message) = verdict(trap(), true, &limits, "thread panicked at src/lib.rs:1:1:\nout of memory\n");
        assert_eq!((outcome, message.as_str()), (Outcome::Memory, "asked for more memory than the limit of 1 MiB"));
        let (outcome, message) = verdict(trap(), false, &limits, "starting\nno such thing\n\n");
        assert_eq!(outcome, Outcome::Trap);
        assert!(message.contains("`unreachable`") && message.ends_with("last on stderr: no such thing"), "{message}");
    }

    #[test]
    fn an_error_of_the_engine_is_told_by_what_caused_it() {
        let end = |error: wasmtime::Error, starting| End::from_error(error.context("error while executing"), starting);
        let trap = || wasmtime::Error::new(Trap::UnreachableCodeReached);
        assert!(matches!(end(I32Exit(2).into(), false), End::Exit(2)));
        assert!(matches!(end(I32Exit(2).into(), true), End::Exit(2)));
        assert!(matches!(end(LeaseLost.into(), false), End::Stopped(Stop::LeaseLost)));
        assert!(matches!(end(Stop::Deadline.into(), true), End::Stopped(Stop::Deadline)));
        assert!(matches!(end(Flood(7).into(), false), End::Flood(7)));
        assert!(matches!(end(trap(), true), End::Trapped(_)), "its own start function may trap");
        assert!(matches!(end(wasmtime::Error::msg("no memory"), true), End::NotStarted(_)));
        assert!(matches!(end(wasmtime::Error::msg("of the host"), false), End::Trapped(_)));
    }

    #[test]
    fn a_summary_after_refused_memory_is_still_fine() {
        let end = End::Summary("managed with less".to_owned());
        assert_eq!(verdict(end, true, &Limits::default(), "").0, Outcome::Ok);
    }

    #[test]
    fn the_exit_status_of_a_command_decides() {
        let judged = |status, stderr| verdict(End::Status(status), false, &Limits::default(), stderr);
        let (retry, last) = ("exit status 75; last on stderr: busy", "exit status 3; last on stderr: no such host");
        assert_eq!(judged(75, "busy\n"), (Outcome::Retry, retry.to_owned()));
        assert_eq!(judged(3, "looking\nno such host\n"), (Outcome::Error, last.to_owned()));
        assert_eq!(judged(1, ""), (Outcome::Error, "exit status 1".to_owned()));
        let (outcome, message) = judged(2, "panic: no such thing\n\ngoroutine 1 [running]:\n");
        assert_eq!((outcome, message.as_str()), (Outcome::Panic, "panic: no such thing (exit status 2)"));
    }

    #[test]
    fn a_language_that_exits_in_a_job_has_failed_like_any_other() {
        let (outcome, message) = verdict(End::Exit(2), false, &Limits::default(), "panic: no such thing\n");
        assert_eq!((outcome, message.as_str()), (Outcome::Panic, "panic: no such thing (exit status 2)"));
        let (outcome, message) = verdict(End::Exit(2), false, &Limits::default(), "");
        assert_eq!((outcome, message.as_str()), (Outcome::Trap, "called exit(2) instead of returning"));
    }

    #[test]
    fn numbers_of_bytes_are_short() {
        assert_eq!(bytes(256 << 20), "256 MiB");
        assert_eq!(bytes(64 << 10), "64 KiB");
        assert_eq!(bytes(1000), "1000 bytes");
    }
}
