//! What one run may use, and the limiter that refuses it more and remembers that it did.

use wasmtime::ResourceLimiter;

/// What one run may use of the host. Every number is an upper bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of all its instances together, in bytes. By default 256 MiB.
    pub memory: usize,
    /// Output that is kept for the report, in bytes of stdout and stderr together. By default 64 KiB.
    pub output_kept: usize,
    /// Output at all, in bytes of stdout and stderr together: more ends the run. By default 8 MiB.
    pub output_total: u64,
    /// Elements of all its tables together. By default 1,000,000, which are 16 MB.
    pub table_elements: usize,
    /// Core instances, each of which may have a memory and a table. By default 1,000.
    pub instances: usize,
    /// Resources (streams, requests, header fields ...) that are open at once. By default 2,000.
    pub resources: usize,
    /// Bytes that one call may hand to the host. By default 16 MiB.
    pub call: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            output_kept: 64 << 10,
            output_total: 8 << 20,
            table_elements: 1_000_000,
            instances: 1_000,
            resources: 2_000,
            call: 16 << 20,
        }
    }
}

/// Counts what a run's memories and tables have grown to.
#[derive(Debug)]
pub(super) struct Limiter {
    limits: Limits,
    memory: usize,
    table_elements: usize,
    peak_memory: usize,
    refused_memory: bool,
}

impl Limiter {
    pub(super) const fn new(limits: Limits) -> Self {
        Self { limits, memory: 0, table_elements: 0, peak_memory: 0, refused_memory: false }
    }

    /// The most linear memory that the run had, in bytes.
    pub(super) const fn peak_memory(&self) -> usize {
        self.peak_memory
    }

    /// Whether the run asked for more memory than its limit.
    pub(super) const fn refused_memory(&self) -> bool {
        self.refused_memory
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > self.limits.memory {
            self.refused_memory = true;
            return Ok(false);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            // The module's own maximum, not ours.
            return Ok(false);
        }
        self.memory = total;
        self.peak_memory = self.peak_memory.max(total);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // More than the memory's type can hold (asked without `memory_growing`), or than the system gives. A growth that
        // was permitted before it failed stays counted: this call does not say which of the two it was.
        self.refused_memory = true;
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if maximum.is_some_and(|maximum| desired > maximum) || total > self.limits.table_elements {
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.instances
    }

    fn memories(&self) -> usize {
        self.limits.instances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> Limiter {
        Limiter::new(Limits { memory: 1000, table_elements: 10, ..Limits::default() })
    }

    #[test]
    fn memories_count_together() {
        let mut limiter = limiter();
        assert!(limiter.memory_growing(0, 600, None).unwrap());
        assert!(!limiter.refused_memory());
        assert!(!limiter.memory_growing(0, 600, None).unwrap());
        assert!(limiter.refused_memory());
        assert_eq!(limiter.peak_memory(), 600);
    }

    #[test]
    fn a_modules_own_maximum_is_not_our_limit() {
        let mut limiter = limiter();
        assert!(!limiter.memory_growing(0, 600, Some(500)).unwrap());
        assert!(!limiter.refused_memory());
    }

    #[test]
    fn an_impossible_growth_gives_no_room_back() {
        let mut limiter = limiter();
        assert!(limiter.memory_growing(0, 600, None).unwrap());
        limiter.memory_grow_failed(wasmtime::format_err!("over 4 GiB")).unwrap();
        assert!(limiter.refused_memory());
        assert!(!limiter.memory_growing(600, 1100, None).unwrap(), "600 are still in use");
    }

    #[test]
    fn tables_count_together() {
        let mut limiter = limiter();
        assert!(limiter.table_growing(0, 6, None).unwrap());
        assert!(!limiter.table_growing(0, 6, None).unwrap());
        assert!(limiter.table_growing(6, 10, None).unwrap());
    }
}
