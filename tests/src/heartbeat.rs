//! The heartbeat in WebAssembly text: a module that needs no toolchain, no grant, and next to no time to compile.

use std::path::Path;
use std::time::Duration;

/// How long it works, as it says itself.
const WORK: &str = "2_000_000_000";

/// Its text, changed to work for this long.
///
/// # Panics
/// It is not as it was.
pub fn working(time: Duration) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobs/heartbeat-wat/heartbeat.wat");
    let text = std::fs::read_to_string(path).expect("the heartbeat is there");
    assert_eq!(text.matches(WORK).count(), 1, "the heartbeat says once how long it works");
    text.replace(WORK, &time.as_nanos().to_string())
}

/// What it says, as it says itself.
const MESSAGE: &str = "Hello from round %";

/// Its text, changed to say this at once.
///
/// # Panics
/// It is not as it was.
pub fn saying(message: &str) -> String {
    let text = working(Duration::ZERO);
    assert_eq!(text.matches(MESSAGE).count(), 1, "the heartbeat says its message once");
    text.replace(MESSAGE, message)
}
