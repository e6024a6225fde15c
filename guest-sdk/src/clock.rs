//! The time, by the agent's clock. Granted to every job.
//!
//! ```no_run
//! use std::time::Duration;
//! use soloist_sdk::clock;
//!
//! let begin = clock::monotonic();
//! clock::sleep(Duration::from_millis(200));
//! let took = clock::monotonic() - begin;
//! assert!(clock::time_left() > took);
//! ```
//!
//! [`std::time`] works in a job too; a unit test sets the time of this one.

use std::time::{Duration, SystemTime};

use crate::host::clock as host;

/// The time by the agent's clock, to the millisecond.
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(host::now_ms())
}

/// The time since some moment in the past, on a clock that never goes back: for measuring.
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::monotonic_ns())
}

/// How long until the host stops this run; less if its lease is lost.
pub fn time_left() -> Duration {
    Duration::from_millis(host::left_ms())
}

/// Waits: at most 49 days, and not beyond the run.
pub fn sleep(time: Duration) {
    host::sleep_ms(u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
}
