//! Memory for runs that is mapped once, at the start of the engine, and used again: a run then costs no system calls for mapping,
//! and few page faults.

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Runs at once, as many as an agent may have jobs. One more fails, is said to be the host's fault, and is tried again.
const RUNS: u32 = 1_000;

/// Memories, of all runs together. Each reserves 4 GiB of addresses, and takes what its module uses of them.
const MEMORIES: u32 = 2 * RUNS;

/// Tables, of all runs together.
const TABLES: u32 = 4 * RUNS;

/// Core instances of one run, as [`Limits`](super::Limits) has it; of all runs together, many times that.
const CORE_INSTANCES: u32 = 1_000;

/// The most memories of one module.
const MEMORIES_OF_ONE: u32 = 100;

/// Elements of one table, as [`Limits`](super::Limits) has it.
const TABLE_ELEMENTS: usize = 1_000_000;

/// What the engine itself keeps of an instance, in bytes: a module with ten thousands of functions needs some hundred KiB.
const INSTANCE: usize = 16 << 20;

/// Memories that nobody uses and that stay as the last module of theirs left them, for its next run.
const WARM: u32 = 32;

/// What stays with the process of such a memory, in bytes, wiped: pages that were written, where the system tells which these are
/// (Linux 6.7), and otherwise the lowest. The rest goes back to the system.
const RESIDENT: usize = 1 << 20;

/// The same configuration, with a pool. Machine code is the same with it and without.
pub(super) fn pooled(mut config: Config) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(RUNS)
        .total_stacks(RUNS)
        .total_memories(MEMORIES)
        .total_tables(TABLES)
        .total_core_instances(CORE_INSTANCES * RUNS)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES_OF_ONE)
        .max_memories_per_module(MEMORIES_OF_ONE)
        .max_tables_per_component(CORE_INSTANCES)
        .max_tables_per_module(CORE_INSTANCES)
        .max_core_instance_size(INSTANCE)
        .max_component_instance_size(INSTANCE)
        .table_elements(TABLE_ELEMENTS)
        .max_unused_warm_slots(WARM)
        .linear_memory_keep_resident(RESIDENT)
        .table_keep_resident(RESIDENT)
        .pagemap_scan(Enabled::Auto);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    use wasmtime::Engine;

    use super::super::engine::config;
    use super::*;

    #[test]
    fn what_is_compiled_without_a_pool_runs_with_it() {
        let fingerprint = |config: &Config| {
            let mut hasher = DefaultHasher::new();
            Engine::new(config).unwrap().precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(fingerprint(&config()), fingerprint(&pooled(config())));
    }
}
