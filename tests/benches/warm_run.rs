//! What one warm run costs: a new instance of a module, one call, and its end, as an agent does it; beside a new process.
//!
//! `cargo bench --workspace --bench warm_run` runs it, after `jobs/build probe-rust`; `WARM_RUNS` (2000) changes how
//! often. `WARM_RUN_MODULE` names another module. It fails where a run costs more than a tenth of a process.
//!
//! Two figures of each module: the run alone, begun by one of the threads that runs have to themselves, and the run with the way
//! from an agent's thread to these and back. The way is two threads that wake each other, which costs more than the run does where
//! cores sleep deeply, and says nothing of the module: the first figure is the one that is held to the tenth.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};
use soloist::capability::{Granted, Grants};
use soloist::runtime::{Engine, Module, Prepared, Request, run};
use soloist_tests::guest::{request, services, wat};

/// The most that a run may cost, in parts of what a process does.
const PARTS: u32 = 10;

/// Runs and processes in turns of this many, so that what else the machine does falls on both.
const TURN: usize = 50;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runs = std::env::var("WARM_RUNS").map_or(Ok(2000), |text| text.parse().context("WARM_RUNS is no number"))?;
    let engine = Engine::new()?;
    let text = prepare(&engine, wat("ok.wat").as_bytes(), "")?;
    let probe = module()?;
    let bytes = std::fs::read(&probe).with_context(|| format!("{}: build it with jobs/build", probe.display()))?;
    let job = prepare(&engine, &bytes, "http = [\"http://127.0.0.1:9\"]\nslack = [\"#none\"]")?;

    // It reads and parses its settings, and succeeds.
    let settings = Arc::new(serde_json::from_str(r#"{"mode": "pass"}"#)?);

    println!("{runs} times each, in turns of {TURN}; {}", profile());
    let (mut job, mut text, mut processes) = (Costs::new(job, &settings), Costs::new(text, &settings), Vec::new());
    while processes.len() < runs {
        job.turn(&engine).await?;
        text.turn(&engine).await?;
        for _ in 0..TURN {
            processes.push(process()?);
        }
    }
    let process = median(&mut processes);
    let is_cheap = job.print(&name(&probe), process);
    text.print("ok.wat", process);
    println!("fork, exec and wait for /bin/true: median {process:?}, 90 % {:?}", ninth(&processes));
    println!("a run of {} costs {} a tenth of a process", name(&probe), if is_cheap { "at most" } else { "MORE THAN" });
    Ok(if is_cheap { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the runs of one module cost.
struct Costs {
    prepared: Prepared,
    settings: Arc<Map<String, Value>>,
    /// Begun by a thread of the runs' own.
    alone: Vec<Duration>,
    /// Begun by another.
    with_the_way: Vec<Duration>,
}

impl Costs {
    fn new(prepared: Prepared, settings: &Arc<Map<String, Value>>) -> Self {
        Self { prepared, settings: Arc::clone(settings), alone: Vec::new(), with_the_way: Vec::new() }
    }

    async fn turn(&mut self, engine: &Engine) -> Result<()> {
        let (prepared, settings) = (self.prepared.clone(), Arc::clone(&self.settings));
        self.alone.extend(engine.threads().spawn(async move { times(&prepared, &settings).await }).await?);
        self.with_the_way.extend(times(&self.prepared, &self.settings).await);
        Ok(())
    }

    /// Whether a run alone costs at most the part of a process that it may.
    fn print(&mut self, name: &str, process: Duration) -> bool {
        let alone = median(&mut self.alone);
        for (what, times) in
            [("alone", &mut self.alone), ("with the way to its thread and back", &mut self.with_the_way)]
        {
            let (median, ratio) = (median(times), ratio(median(times), process));
            println!("one run of {name}, {what}: median {median:?}, 90 % {:?}, ratio {ratio:.4}", ninth(times));
        }
        alone * PARTS <= process
    }
}

/// The Rust job that does next to nothing: what is measured is what comes with any.
fn module() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WARM_RUN_MODULE") {
        return Ok(path.into());
    }
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../jobs/built/probe-rust.wasm")
        .canonicalize()
        .context("jobs/build probe-rust")
}

fn prepare(engine: &Engine, bytes: &[u8], grants: &str) -> Result<Prepared> {
    let grants: Grants = toml::from_str(grants)?;
    Ok(Module::load(engine, bytes)?.prepare("canary", Arc::new(Granted::new(grants, services())))?)
}

async fn times(prepared: &Prepared, settings: &Arc<Map<String, Value>>) -> Vec<Duration> {
    let mut times = Vec::with_capacity(TURN);
    for _ in 0..TURN {
        times.push(warm(prepared, settings).await);
    }
    times
}

/// One run, whole: from the request to the report.
async fn warm(prepared: &Prepared, settings: &Arc<Map<String, Value>>) -> Duration {
    let request = Request { settings: Arc::clone(settings), ..request() };
    let begun = Instant::now();
    let report = run(prepared, request).await;
    let elapsed = begun.elapsed();
    assert!(report.outcome.is_ok(), "{}", report.message);
    elapsed
}

/// One process, whole: from its start until it was waited for.
fn process() -> Result<Duration> {
    let mut command = Command::new("/bin/true");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    ensure!(command.status()?.success(), "/bin/true succeeds");
    Ok(begun.elapsed())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// What nine of ten stay below. The times are sorted.
fn ninth(times: &[Duration]) -> Duration {
    times[times.len() * 9 / 10]
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

const fn profile() -> &'static str {
    if cfg!(debug_assertions) { "built for debugging" } else { "built for release" }
}
