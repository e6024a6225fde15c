//! What a run's end means: its outcome, and a reason on one line that says what to look at.

use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::facts::Stop;
use super::lease::LeaseLost;
use super::limits::Limits;
use super::output::Flood;
use crate::round::Outcome;

/// Functions of a backtrace that are named in a reason.
const FRAMES: usize = 3;

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
    /// It called `exit`.
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
        End::Retry(reason) => (Outcome::Retry, reason),
        End::Final(reason) => (Outcome::Error, reason),
        End::Stopped(Stop::Deadline) => (Outcome::Timeout, "still running at its deadline".to_owned()),
        End::Stopped(stop) => (Outcome::from(stop), format!("stopped: {stop}")),
        End::Flood(limit) => (Outcome::Output, format!("printed more than the limit of {}", bytes(limit))),
        End::Exit(code) => (Outcome::Trap, format!("called exit({code}) instead of returning{}", last_words(stderr))),
        // A guest's allocator that was refused memory traps or panics right away.
        End::Trapped(_) | End::NotStarted(_) if refused_memory => (Outcome::Memory, over_memory()),
        End::Trapped(error) => match panic_message(stderr) {
            Some(message) => (Outcome::Panic, message),
            None => (Outcome::Trap, format!("{}{}{}", cause(&error), functions(&error), last_words(stderr))),
        },
        End::NotStarted(error) => (Outcome::Host, format!("the run could not be started: {}", cause(&error))),
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

/// The innermost named functions, each called by the next.
fn functions(error: &wasmtime::Error) -> String {
    let names = error
        .downcast_ref::<WasmBacktrace>()
        .map(|backtrace| backtrace.frames().iter().filter_map(wasmtime::FrameInfo::func_name).take(FRAMES))
        .into_iter()
        .flatten()
        .map(|name| format!("`{}`", super::log::clean(name, 80)))
        .collect::<Vec<_>>();
    if names.is_empty() { String::new() } else { format!(", in {}", names.join(", called by ")) }
}

/// The last line on stderr, where most languages say what went wrong before they trap.
fn last_words(stderr: &str) -> String {
    match stderr.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("; last on stderr: {}", line.trim()),
        None => String::new(),
    }
}

/// What a Rust panic says on stderr: `panicked at src/lib.rs:5:9: the message`.
fn panic_message(stderr: &str) -> Option<String> {
    let panic = &stderr[stderr.rfind("panicked at ")?..];
    let message = panic
        .lines()
        .take_while(|line| !line.starts_with("note: ") && !line.starts_with("stack backtrace:"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>();
    Some(message.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_found_in_stderr() {
        let stderr = "starting\n\nthread '<unnamed>' (1) panicked at src/lib.rs:5:9:\nno such thing: 7\nnote: run with \
                      `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        assert_eq!(panic_message(stderr).unwrap(), "panicked at src/lib.rs:5:9: no such thing: 7");
        assert_eq!(panic_message("nothing of the kind"), None);
    }

    #[test]
    fn a_trap_after_refused_memory_is_of_memory() {
        let trap = || End::Trapped(wasmtime::Error::new(Trap::UnreachableCodeReached));
        let limits = Limits { memory: 1 << 20, ..Limits::default() };
        let (outcome, message) = verdict(trap(), true, &limits, "thread panicked at src/lib.rs:1:1:\nout of memory\n");
        assert_eq!((outcome, message.as_str()), (Outcome::Memory, "asked for more memory than the limit of 1 MiB"));
        let (outcome, message) = verdict(trap(), false, &limits, "Traceback\nValueError: x\n\n");
        assert_eq!(outcome, Outcome::Trap);
        assert!(message.contains("`unreachable`") && message.ends_with("last on stderr: ValueError: x"), "{message}");
    }

    #[test]
    fn a_summary_after_refused_memory_is_still_fine() {
        let end = End::Summary("managed with less".to_owned());
        assert_eq!(verdict(end, true, &Limits::default(), "").0, Outcome::Ok);
    }

    #[test]
    fn numbers_of_bytes_are_short() {
        assert_eq!(bytes(256 << 20), "256 MiB");
        assert_eq!(bytes(64 << 10), "64 KiB");
        assert_eq!(bytes(1000), "1000 bytes");
    }
}
