//! This machine's clocks: the one that leases are held against, which keeps counting while the machine sleeps or the
//! process is stopped, and the one on the wall.

use std::time::Duration;

/// Milliseconds on a clock that never goes back and, where the system has one, counts through sleep.
///
/// Linux: `CLOCK_BOOTTIME`. Other Unix systems: `CLOCK_MONOTONIC`, which counts through sleep on macOS, and on the BSDs
/// may not. Elsewhere: the wall clock, which counts through sleep but follows a clock that is set by hand. Only
/// differences within one process mean anything.
pub fn boot_ms() -> u64 {
    #[cfg(unix)]
    {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let clock = rustix::time::ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let clock = rustix::time::ClockId::Monotonic;
        let now = rustix::time::clock_gettime(clock);
        u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
    }
    #[cfg(not(unix))]
    {
        wall_ms()
    }
}

/// Milliseconds since the Unix epoch, by the wall clock; 0 before it.
pub fn wall_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    millis(now)
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_and_never_back() {
        let first = boot_ms();
        std::thread::sleep(Duration::from_millis(3));
        let second = boot_ms();
        assert!(second >= first + 2, "{first} {second}");
    }
}
