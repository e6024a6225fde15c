//! A job that behaves as its settings say, well or badly: what the integration tests run.

mod attack;

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use soloist_sdk::{Context, Failure, config, http, log, slack};

soloist_sdk::job!(run);

/// The module's version. A test makes distinct modules by writing other digits over the six in the `.wasm`.
static VERSION: [u8; 28] = *b"SOLOIST-PROBE-VERSION:000000";

/// What `alloc` and `print` work in, in bytes.
const CHUNK: usize = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    mode: Mode,
    /// Where `report`, `sleep` and `fetch` go.
    #[serde(default)]
    url: String,
    /// How long `sleep` sleeps.
    #[serde(default)]
    seconds: f64,
    /// How often `sleep` reports meanwhile; 0 for never.
    #[serde(default)]
    every_ms: u64,
    /// How much `alloc` and `print` ask for; 4 GB and 1 GB unless told.
    bytes: Option<u64>,
    /// Where `slack` posts.
    #[serde(default)]
    channel: String,
    /// What `slack` posts.
    #[serde(default)]
    text: String,
    /// What `attack` tries.
    attack: Option<attack::Attack>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// Posts the run's name and the module's version to `url`, and succeeds.
    Report,
    /// Reports `start`, sleeps `seconds` reporting `alive` every `every-ms`, reports `end`.
    Sleep,
    /// Never ends.
    Loop,
    /// Asks for `bytes` of memory.
    Alloc,
    /// Prints `bytes`.
    Print,
    /// Executes `unreachable`.
    Trap,
    /// Panics.
    Panic,
    /// Gets `url`: its status and the start of its body are the summary, an error is final.
    Fetch,
    /// Posts `text` to `channel`.
    Slack,
    /// Tries what a job must not be able to.
    Attack,
    /// Succeeds.
    Pass,
    /// Fails for good.
    Fail,
    /// Fails, worth a retry.
    Retry,
}

fn run(context: Context) -> Result<String, Failure> {
    let settings: Settings = config::load()?;
    log::info!("probe {:?}", settings.mode);
    match settings.mode {
        Mode::Report => report(&context, &settings, "run"),
        Mode::Sleep => sleep(&context, &settings),
        Mode::Loop => spin(),
        Mode::Alloc => alloc(settings.bytes.unwrap_or(4_000_000_000)),
        Mode::Print => print(settings.bytes.unwrap_or(1_000_000_000)),
        Mode::Trap => trap(),
        Mode::Panic => panic!("the probe panics as it was told"),
        Mode::Fetch => fetch(&settings),
        Mode::Slack => post(&settings),
        Mode::Attack => match settings.attack {
            Some(attack) => attack.run(&settings.url),
            None => Err(Failure::final_("no `attack` is set")),
        },
        Mode::Pass => Ok("the probe passes as it was told".to_owned()),
        Mode::Fail => Err(Failure::final_("the probe fails as it was told")),
        Mode::Retry => Err(Failure::retry("the probe asks for a retry as it was told")),
    }
}

fn version() -> String {
    let marker = black_box(&VERSION);
    String::from_utf8_lossy(&marker[22..]).into_owned()
}

/// Posts `{job, agent, round, attempt, due_ms, previous, version, phase}`.
fn report(context: &Context, settings: &Settings, phase: &str) -> Result<String, Failure> {
    let version = version();
    let Context { job, agent, round, attempt, due_ms, previous, .. } = context;
    let body = json!({
        "job": job, "agent": agent, "round": round, "attempt": attempt, "due_ms": due_ms, "previous": previous,
        "version": version, "phase": phase,
    });
    let response = http::Request::post(settings.url.as_str()).json(&body).send()?.success()?;
    Ok(format!("version {version} reported {phase} of {round}/{attempt}: {}", response.status))
}

fn sleep(context: &Context, settings: &Settings) -> Result<String, Failure> {
    report(context, settings, "start")?;
    let end = Instant::now() + Duration::from_secs_f64(settings.seconds);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return report(context, settings, "end");
        }
        if settings.every_ms == 0 {
            std::thread::sleep(left);
        } else {
            std::thread::sleep(left.min(Duration::from_millis(settings.every_ms)));
            report(context, settings, "alive")?;
        }
    }
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn alloc(bytes: u64) -> Result<String, Failure> {
    let mut held = Vec::new();
    let mut size = 0;
    while size < bytes {
        held.push(black_box(vec![1_u8; CHUNK]));
        size += CHUNK as u64;
    }
    Ok(format!("{} MiB held", held.len()))
}

fn print(bytes: u64) -> Result<String, Failure> {
    let mut line = vec![b'x'; CHUNK - 1];
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    let mut size = 0;
    while size < bytes {
        stdout.write_all(&line)?;
        size += CHUNK as u64;
    }
    Ok(format!("{size} bytes printed"))
}

#[cfg(target_arch = "wasm32")]
fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() -> ! {
    std::process::abort()
}

fn fetch(settings: &Settings) -> Result<String, Failure> {
    let response = http::get(settings.url.as_str()).map_err(Failure::final_)?;
    let body: String = response.text().chars().take(200).collect();
    Ok(format!("status {}: {body}", response.status))
}

fn post(settings: &Settings) -> Result<String, Failure> {
    let posted = slack::post(settings.channel.as_str(), settings.text.as_str()).map_err(Failure::final_)?;
    Ok(format!("posted, ts {}", posted.as_ref().map_or("unknown", |posted| posted.ts.as_str())))
}
