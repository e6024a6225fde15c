//! How the program speaks: data on stdout, logs and errors on stderr, a `hint:` after an error.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write as _};

use super::hints;
use super::log::LogFormat;

/// What to try, carried in an error's chain and printed after it.
#[derive(Debug)]
pub struct Hint(String);

impl Hint {
    /// What to try, in words.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Hint {}

/// Adds a hint to an error.
pub trait WithHint<T> {
    /// Adds what to try: printed after the error as `hint: …`.
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> WithHint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| error.into().context(Hint(hint.into())))
    }
}

/// Prints an error and what to try: `error: what: why: why` and `hint: …`, or one JSON object in one line.
pub fn print_error(error: &anyhow::Error, format: LogFormat) {
    let explicit = error.downcast_ref::<Hint>().map(|hint| hint.0.clone());
    // A hint is a context, and so stands in the chain where it was added.
    let chain: Vec<String> = error
        .chain()
        .filter(|part| !part.is::<Hint>())
        .map(ToString::to_string)
        .filter(|part| Some(part) != explicit.as_ref())
        .collect();
    let hint = explicit.or_else(|| error.chain().find_map(hints::of));
    print_problem(&without_repeats(chain).join(": "), hint.as_deref(), format);
}

/// Prints what went wrong, in words, and what to try.
pub fn print_problem(problem: &str, hint: Option<&str>, format: LogFormat) {
    let text = match format {
        LogFormat::Json => {
            let time = jiff::Timestamp::now().to_string();
            serde_json::json!({ "timestamp": time, "level": "ERROR", "error": problem, "hint": hint }).to_string()
        }
        LogFormat::Pretty => {
            let (error, try_this) = if colour(&io::stderr()) {
                ("\x1b[1;31merror\x1b[0m", "\x1b[1;36mhint\x1b[0m")
            } else {
                ("error", "hint")
            };
            let hint = hint.map(|hint| format!("\n{try_this}: {hint}")).unwrap_or_default();
            format!("{error}: {problem}{hint}")
        }
    };
    let _ = writeln!(io::stderr(), "{text}");
}

/// Some errors say their cause themselves, and name it as their source too.
fn without_repeats(chain: Vec<String>) -> Vec<String> {
    let mut parts: Vec<String> = Vec::with_capacity(chain.len());
    for part in chain {
        if !parts.last().is_some_and(|before| before.ends_with(&part)) {
            parts.push(part);
        }
    }
    parts
}

/// Whether colours are wanted there: on a terminal, and not with `NO_COLOR` (<https://no-color.org>).
pub fn colour(stream: &impl IsTerminal) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !unwanted && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Prints a line of data. Nobody has to read to its end (`soloist … | head`), but what cannot be written otherwise, such as on a
/// full disk, ends the program with exit code 2.
pub fn data(line: impl Display) {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "error: stdout cannot be written: {error}");
            std::process::exit(2);
        }
        _ => {}
    }
}

/// Prints a line of a display that goes on, and says whether anybody still reads it.
pub fn show(line: impl Display) -> bool {
    writeln!(io::stdout(), "{line}").is_ok()
}

/// Asks a question on stderr, so that stdout stays data.
pub fn ask(question: &str) {
    let _ = write!(io::stderr(), "{question}");
    let _ = io::stderr().flush();
}
