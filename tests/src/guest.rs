//! Modules for tests: the components under `tests/wat`, as they stand or with another body for `run`, and ways to run them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use soloist::capability::{Granted, Grants, Services, ServicesConfig};
use soloist::round::Fence;
use soloist::runtime::{Engine, Lease, Limits, LoadError, Module, Prepared, Request};
use tokio_util::sync::CancellationToken;

/// The text of a file under `tests/wat`.
pub fn wat(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("wat").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text of a file with what `run` does between `;; begin` and `;; end` replaced. The body leaves the pointer to the
/// result, or never comes to its end.
pub fn with_body(name: &str, body: &str) -> String {
    let text = wat(name);
    let (before, rest) = text.split_once(";; begin").expect("the file marks where the body begins");
    let (_, after) = rest.split_once(";; end").expect("the file marks where the body ends");
    format!("{before}\n{body}\n{after}")
}

/// The body that returns this failure: 0 for `retry`, 1 for `final`, with the text of `ok.wat`.
pub fn failing(tag: u8) -> String {
    format!(
        "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store8 (i32.const 20) (i32.const {tag}))
         (i32.store (i32.const 24) (i32.const 64)) (i32.store (i32.const 28) (i32.const 11)) (i32.const 16)"
    )
}

/// The services of an agent without secrets.
pub fn services() -> Services {
    Services::new(&ServicesConfig::default(), &PathBuf::new()).expect("services without secrets")
}

/// Loads and prepares a module for the job `canary` with these grants, as TOML.
pub fn prepare(engine: &Engine, module: &str, grants: &str) -> Result<Prepared, LoadError> {
    let grants: Grants = toml::from_str(grants).unwrap_or_else(|error| panic!("{grants}: {error}"));
    let granted = Granted::new(grants, services());
    Module::load(engine, module.as_bytes())?.prepare("canary", Arc::new(granted))
}

/// A request to run the job `canary` in round 1000, with ten seconds of time.
pub fn request() -> Request {
    Request {
        job: "canary".to_owned(),
        agent: "agent-1".to_owned(),
        fence: Fence { round: 1000, attempt: 1 },
        due_ms: 1_000_000,
        previous: None,
        state: None,
        deadline: Duration::from_secs(10),
        lease: Lease::unlimited(),
        cancel: CancellationToken::new(),
        settings: Arc::default(),
        invocation: Arc::default(),
        limits: Limits::default(),
    }
}

/// A job that takes its compiler long: a function of many branches, in which many variables are needed to the end. 8,000 and
/// 1,000 are 20 s and 360 MB, 3,000 and 500 are 3 s, where the compiler itself is compiled for debugging.
pub fn slow_to_compile(branches: usize, variables: usize) -> String {
    let mut body: String = (0..variables).map(|number| format!("(local $v{number} i32)")).collect();
    let mut drawn: usize = 1;
    let mut draw = || {
        // A generator of the C standard's example: any will do that is the same everywhere.
        drawn = (drawn * 1_103_515_245 + 12_345) % (1 << 31);
        (drawn >> 8) % variables
    };
    for branch in 0..branches {
        let (from, to, with) = (draw(), draw(), branch % variables);
        body += &format!(
            "(if (local.get $v{from}) (then (local.set $v{to} (i32.add (local.get $v{from}) (local.get $v{with})))))\n"
        );
    }
    // And then what it did before.
    let text = wat("ok.wat");
    let (_, before) = text.split_once(";; begin").expect("the file marks where the body begins");
    let (before, _) = before.split_once(";; end").expect("the file marks where the body ends");
    with_body("ok.wat", &format!("{body};;{before}"))
}
