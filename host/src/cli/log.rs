//! The log, on stderr: for people, or one JSON object a line.

use std::fmt;
use std::io;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::{EnvFilter, fmt as subscriber};

use super::output::{WithHint as _, colour};
use crate::runtime::clean;

/// The environment variable that filters the log.
pub const FILTER: &str = "SOLOIST_LOG";

/// What is logged where nothing else is asked for.
const DEFAULT_FILTER: &str = "info,hickory_net=error,hickory_server=warn";

/// The longest message or value that is shown to people, in bytes.
const MAX_VALUE: usize = 8 * 1024;

/// Fields that repeat for machines what the message says to people.
const FOR_MACHINES: [&str; 3] = ["event", "summary", "reason"];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Starts the log. `SOLOIST_LOG` filters it (`info` by default); `NO_COLOR` is honoured.
///
/// # Errors
/// `SOLOIST_LOG` is no filter.
pub fn start(format: LogFormat) -> anyhow::Result<()> {
    let filter = filter()?;
    let builder = subscriber::Subscriber::builder()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // Complaining of a closed stderr on stderr is a panic.
        .log_internal_errors(false);
    match format {
        LogFormat::Pretty => builder
            .with_ansi(colour(&io::stderr()))
            .with_target(false)
            .with_timer(Milliseconds)
            .fmt_fields(ForPeople)
            .init(),
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(false).init();
            std::panic::set_hook(Box::new(|panic| tracing::error!(event = "panic", "{panic}")));
        }
    }
    Ok(())
}

fn filter() -> anyhow::Result<EnvFilter> {
    let Some(text) = std::env::var_os(FILTER).filter(|text| !text.is_empty()) else {
        return Ok(EnvFilter::new(DEFAULT_FILTER));
    };
    let text = text.to_string_lossy();
    EnvFilter::try_new(&text)
        .map_err(|error| anyhow::anyhow!("the environment variable `{FILTER}` is no filter: `{text}`: {error}"))
        .hint(format!("a level, `{FILTER}=debug`, or levels by module, `{FILTER}=info,soloist::agent=debug`"))
}

/// The time in UTC, to the millisecond: agents on several machines are read side by side.
struct Milliseconds;

impl FormatTime for Milliseconds {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

/// The message, and behind it what it does not say itself.
struct ForPeople;

impl<'writer> FormatFields<'writer> for ForPeople {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Fields { writer, first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Fields<'writer> {
    writer: Writer<'writer>,
    first: bool,
    result: fmt::Result,
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        if FOR_MACHINES.contains(&name) || self.result.is_err() {
            return;
        }
        let gap = if self.first { "" } else { " " };
        self.first = false;
        // Names and values of others stand here too, such as those of a record: they must not forge lines or drive a terminal.
        let value = clean(&format!("{value:?}"), MAX_VALUE);
        self.result = match name {
            "message" => write!(self.writer, "{gap}{value}"),
            _ if self.writer.has_ansi_escapes() => write!(self.writer, "{gap}\x1b[2m{name}={value}\x1b[0m"),
            _ => write!(self.writer, "{gap}{name}={value}"),
        };
    }
}
