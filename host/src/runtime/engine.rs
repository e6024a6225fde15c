//! The engine that compiles modules, the ticker that interrupts them, and the threads that they run on, apart from the agent's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::Config;

use super::pool::pooled;

/// How often a running module is interrupted: to let others run, and to be stopped where it must be.
pub const TICK: Duration = Duration::from_millis(10);

/// Ticks that go on after the last run.
const LINGER: u32 = 100;

/// The stack of a module, in bytes. Beyond it a module traps.
const WASM_STACK: usize = 1 << 20;

/// The stack of a run's fiber, in bytes: the module's stack and as much again for the host functions that it calls.
const ASYNC_STACK: usize = 2 << 20;

/// Threads for blocking work in the name of runs: looking up names.
const BLOCKING_THREADS: usize = 32;

/// The engine. Clones share it; the threads end with the last one.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    wasmtime: wasmtime::Engine,
    ticker: Ticker,
    /// Always there until it is taken by `drop`.
    runs: Option<tokio::runtime::Runtime>,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime does not work on this machine.
    #[error("the WebAssembly engine cannot start: {0}")]
    Wasmtime(String),
    /// The threads could not be started.
    #[error("the threads for runs cannot be started")]
    Threads(#[from] std::io::Error),
}

impl Engine {
    /// Starts the engine: one thread a core for runs, and the ticker.
    pub fn new() -> Result<Self, EngineError> {
        // Where the system does not give so many addresses, memory is mapped for each run.
        let wasmtime = wasmtime::Engine::new(&pooled(config()))
            .inspect_err(|error| tracing::debug!("there is no pool of memory for runs: {error:#}"))
            .or_else(|_| wasmtime::Engine::new(&config()))
            .map_err(|error| EngineError::Wasmtime(format!("{error:#}")))?;
        let ticker = Ticker::start(wasmtime.clone())?;
        let runs = tokio::runtime::Builder::new_multi_thread()
            .thread_name("soloist-run")
            .max_blocking_threads(BLOCKING_THREADS)
            // A module holds its thread for up to a tick. Look for timers, sockets and other runs after every one, or
            // with more busy modules than threads all of them would wait for 61 ticks.
            .event_interval(1)
            .global_queue_interval(1)
            .enable_all()
            .build()?;
        Ok(Self(Arc::new(Shared { wasmtime, ticker, runs: Some(runs) })))
    }

    /// wasmtime's own engine.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    /// The threads of runs, where [`run`](super::run) spawns them. Whoever begins a run on one of them spares the way there.
    pub fn threads(&self) -> tokio::runtime::Handle {
        match &self.0.runs {
            Some(runs) => runs.handle().clone(),
            None => unreachable!("the runtime is taken only when the last clone is dropped"),
        }
    }

    /// Keeps the ticker going until the guard is dropped.
    pub(super) fn running(&self) -> Running {
        self.0.ticker.tick.active.fetch_add(1, Ordering::SeqCst);
        if self.0.ticker.tick.parked.load(Ordering::SeqCst) {
            self.0.ticker.thread.unpark();
        }
        Running(Arc::clone(&self.0.ticker.tick))
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Dropping a runtime blocks, which is forbidden in asynchronous code; this does not wait.
        if let Some(runs) = self.runs.take() {
            runs.shutdown_background();
        }
    }
}

/// The configuration that code is compiled for, here and in a compiler's own process.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        // Only names for a backtrace: debug information that a guest brings is not read.
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(ASYNC_STACK);
    // Modules are compiled on one thread each, so that compiling never takes all cores: wasmtime is built without its
    // feature `parallel-compilation`.
    config
}

/// The thread that advances the epoch while anything runs, and sleeps while nothing does. It stays awake for [`LINGER`] ticks after
/// the last run, so that runs that follow soon need not wake it.
struct Ticker {
    tick: Arc<Tick>,
    thread: Thread,
}

#[derive(Default)]
struct Tick {
    active: AtomicUsize,
    /// It sleeps until it is woken. Set before `active` is looked at for the last time, which a run raises before it looks here.
    parked: AtomicBool,
    ended: AtomicBool,
}

impl Ticker {
    fn start(engine: wasmtime::Engine) -> std::io::Result<Self> {
        let tick = Arc::new(Tick::default());
        let shared = Arc::clone(&tick);
        let handle = std::thread::Builder::new().name("soloist-tick".to_owned()).spawn(move || {
            let idle = || shared.active.load(Ordering::SeqCst) == 0;
            let mut lingered = 0;
            while !shared.ended.load(Ordering::SeqCst) {
                if lingered < LINGER {
                    std::thread::sleep(TICK);
                    engine.increment_epoch();
                    lingered = if idle() { lingered + 1 } else { 0 };
                } else {
                    shared.parked.store(true, Ordering::SeqCst);
                    if idle() && !shared.ended.load(Ordering::SeqCst) {
                        std::thread::park();
                    }
                    shared.parked.store(false, Ordering::SeqCst);
                    lingered = 0;
                }
            }
        })?;
        Ok(Self { tick, thread: handle.thread().clone() })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.tick.ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// One run that needs the ticker.
pub(super) struct Running(Arc<Tick>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits, but not for ever.
    fn until(holds: impl Fn() -> bool, otherwise: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(std::time::Instant::now() < deadline, "{otherwise}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_ticker_sleeps_while_nothing_runs_wakes_for_a_run_and_ends_with_the_engine() {
        let engine = Engine::new().unwrap();
        let tick = Arc::clone(&engine.0.ticker.tick);
        let parked = || tick.parked.load(Ordering::SeqCst);
        for _ in 0..2 {
            until(parked, "the ticker does not sleep");
            let running = engine.running();
            until(|| !parked(), "the ticker sleeps on while a run is there");
            drop(running);
            assert_eq!(tick.active.load(Ordering::SeqCst), 0);
        }
        until(parked, "the ticker does not sleep again");
        drop(engine);
        until(|| Arc::strong_count(&tick) == 1, "the ticker still runs");
    }

    #[tokio::test]
    async fn an_engine_may_be_dropped_in_asynchronous_code() {
        drop(Engine::new().unwrap());
    }
}
