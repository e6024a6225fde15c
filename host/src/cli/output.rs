//! How the program speaks: data on stdout, logs and errors on stderr, a `hint:` after an error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the one place that prints")]

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};

use tracing_subscriber::{EnvFilter, fmt as log};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Sends the log to stderr. `SOLOIST_LOG` filters it (`info` by default), `NO_COLOR` is honoured.
pub fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("SOLOIST_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,hickory_net=warn,hickory_server=warn"));
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = log::Subscriber::builder().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Pretty => builder.with_ansi(colour).with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).init(),
    }
}

/// What to try, carried in an error's chain and printed after it.
#[derive(Debug)]
pub struct Hint(String);

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

/// Prints an error as `error: what: why: why`, then its hints.
pub fn print_error(error: &anyhow::Error) {
    let mut chain: Vec<String> = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    // A hint is a context, and so stands in the chain where it was added.
    let mut current: Option<&(dyn std::error::Error + 'static)> = Some(error.as_ref());
    while let Some(part) = current {
        chain.push(part.to_string());
        current = part.source();
    }
    if let Some(hint) = error.downcast_ref::<Hint>() {
        let text = hint.to_string();
        chain.retain(|part| *part != text);
        hints.push(text);
    }
    let _ = writeln!(io::stderr(), "error: {}", chain.join(": "));
    for hint in hints {
        let _ = writeln!(io::stderr(), "hint: {hint}");
    }
}

/// Prints a line of data. A closed pipe (`soloist … | head`) ends the program quietly.
pub fn data(line: impl Display) {
    if writeln!(io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

/// Asks a question on stderr, so that stdout stays data.
pub fn ask(question: &str) {
    let _ = write!(io::stderr(), "{question}");
    let _ = io::stderr().flush();
}
