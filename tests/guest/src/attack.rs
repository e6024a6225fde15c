//! What a hostile job tries. Each attack ends as a failure that says what stopped it, or as a success that says what it got.

use std::fmt::Display;

use serde::Deserialize;
use soloist_sdk::{Failure, http};

/// How often `flood` asks.
const FLOOD: u32 = 10_000;

/// Header fields that would smuggle something past the host.
const SMUGGLED: [(&str, &str); 12] = [
    ("x-a", "1\r\nhost: evil.example"),
    ("x-a", "1\nx-b: 2"),
    ("x-a", "1\r\n\r\nGET /smuggled HTTP/1.1"),
    ("x-a\r\nx-b", "1"),
    ("x-a:", "1"),
    ("host", "evil.example"),
    ("Host", "evil.example"),
    ("content-length", "0"),
    ("transfer-encoding", "chunked"),
    ("connection", "x-forwarded-for"),
    ("upgrade", "h2c"),
    ("proxy-authorization", "Basic eDp4"),
];

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Attack {
    /// Reads, writes and lists files.
    Files,
    /// Looks for variables and arguments.
    Environment,
    /// Smuggles header fields to `url`.
    Headers,
    /// Asks `url` 10,000 times.
    Flood,
}

impl Attack {
    pub(crate) fn run(self, url: &str) -> Result<String, Failure> {
        match self {
            Self::Files => files(),
            Self::Environment => environment(),
            Self::Headers => headers(url),
            Self::Flood => flood(url),
        }
    }
}

/// All of them must have failed.
fn all_refused<T, E: Display>(tries: impl IntoIterator<Item = (String, Result<T, E>)>) -> Result<String, Failure> {
    let mut reasons = Vec::new();
    for (what, result) in tries {
        match result {
            Ok(_) => return Ok(format!("succeeded: {what}")),
            Err(reason) => reasons.push(format!("{what}: {reason}")),
        }
    }
    Err(Failure::final_(format!("{} refused; {}", reasons.len(), reasons.join("; "))))
}

fn files() -> Result<String, Failure> {
    let paths = ["/etc/passwd", "../../../../../etc/passwd", "/proc/self/environ", "soloist.toml", "probe.wasm"];
    let mut tries: Vec<_> = paths.iter().map(|path| (format!("read {path}"), std::fs::read(path).map(drop))).collect();
    for folder in ["/", ".", "..", "/proc/self/fd"] {
        tries.push((format!("list {folder}"), std::fs::read_dir(folder).map(drop)));
    }
    for path in ["/tmp/hostile", "hostile", "../hostile"] {
        tries.push((format!("write {path}"), std::fs::write(path, "x")));
    }
    all_refused(tries)
}

fn environment() -> Result<String, Failure> {
    let (variables, arguments) = (std::env::vars_os().count(), std::env::args_os().count());
    if variables + arguments > 0 {
        return Ok(format!("succeeded: {variables} variables, {arguments} arguments"));
    }
    Err(Failure::final_("2 refused; no variables and no arguments"))
}

fn headers(url: &str) -> Result<String, Failure> {
    let send = |(name, value): (&str, &str)| {
        let sent = http::Request::post(url).header(name, value).body("x").send();
        (format!("{name:?}: {value:?}"), sent)
    };
    all_refused(SMUGGLED.into_iter().map(send))
}

fn flood(url: &str) -> Result<String, Failure> {
    let mut refused: Vec<String> =
        (0..FLOOD).filter_map(|_| http::get(url).err()).map(|error| error.to_string()).collect();
    match refused.pop() {
        None => Ok(format!("succeeded: {FLOOD} requests")),
        Some(reason) => Err(Failure::final_(format!("{} refused; {reason}", refused.len() + 1))),
    }
}
