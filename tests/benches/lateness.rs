//! How late a round starts after its due time, at a real BIND on loopback, beside what the two exchanges of a claim cost by hand.
//!
//! `cargo bench --workspace --bench lateness` runs it; `LATENESS_ROUNDS` (60) and `LATENESS_AGENTS` (5) change its size.
//! BIND's `named` must be installed.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use soloist::agent::{self, Stop};
use soloist::arbiter::Arbiter;
use soloist::arbiter::rfc2136::Rfc2136;
use soloist::arbiter::tsig::Algorithm;
use soloist::config::Config;
use soloist::round::contender::{Now, Rules, first_record};
use soloist::round::{Replaced, Schedule};
use soloist::runtime::Compiler;
use soloist_tests::servers::{self, Kind, TestServer};
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

/// How late each round was won, in milliseconds: what agents say in their log.
#[derive(Clone, Default)]
struct Won(Arc<Mutex<Vec<u64>>>);

#[derive(Default)]
struct Fields {
    won: bool,
    late_ms: u64,
}

impl Visit for Fields {
    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        self.won |= field.name() == "event" && value == "won";
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "late_ms" {
            self.late_ms = value;
        }
    }
}

impl Layer<Registry> for Won {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, Registry>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if fields.won {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fields.late_ms);
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let rounds = setting("LATENESS_ROUNDS", 60)?;
    let agents = setting("LATENESS_AGENTS", 5)?;
    let server = servers::start(Kind::Bind, Algorithm::HmacSha256).await?;
    let won = Won::default();
    tracing::subscriber::set_global_default(Registry::default().with(won.clone()))?;

    println!("a round a second at BIND on loopback, spread 0, {rounds} rounds each");
    for agents in [1, agents] {
        let late = rounds_of(agents, rounds, server.as_ref(), &won).await?;
        let claim = claims_by_hand(rounds, server.as_ref()).await?;
        let (median, claim) = (percentile(&late, 50), percentile(&claim, 50));
        #[expect(clippy::cast_precision_loss, reason = "milliseconds and microseconds of a benchmark")]
        let (median_ms, claim_ms) = (median as f64, claim as f64 / 1000.0);
        println!(
            "{agents} agent{}: start lateness median {median} ms, 90 % {} ms, worst {} ms; \
             one read and one conditional write by hand: median {claim_ms:.1} ms; ratio {:.1}",
            if agents == 1 { "" } else { "s" },
            percentile(&late, 90),
            percentile(&late, 100),
            median_ms / claim_ms,
        );
    }
    Ok(())
}

fn setting(name: &str, default: usize) -> Result<usize> {
    std::env::var(name).map_or(Ok(default), |text| text.parse().with_context(|| format!("{name} is no number")))
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// Runs agents that share nothing but the record, and gives how late their rounds were, sorted.
async fn rounds_of(agents: usize, rounds: usize, server: &dyn TestServer, won: &Won) -> Result<Vec<u64>> {
    let home = tempfile::tempdir()?;
    std::fs::write(home.path().join("key"), server.key().secret_base64())?;
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("wat/ok.wat");
    let text = format!(
        r#"
        [arbiter]
        kind = "rfc2136"
        server = "{}"
        zone = "example.test"
        key = {{ name = "soloist", secret-file = "key" }}
        [job.bench]
        record = "bench{agents}.example.test"
        every = "1s"
        spread = "0s"
        module = "{}"
        "#,
        server.address(),
        module.display(),
    );
    let (stop, asked) = watch::channel(Stop::No);
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..agents {
        let config = Config::parse(&text, Path::new("bench.toml"), home.path())?;
        running.spawn(agent::run(config, Compiler::here(), asked.clone()));
    }
    let begun = Instant::now();
    // The first rounds compile the module and open the connections.
    let warm = 5;
    while won.0.lock().unwrap_or_else(PoisonError::into_inner).len() < rounds + warm {
        ensure!(begun.elapsed() < Duration::from_secs(60 + 2 * rounds as u64), "the rounds do not come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.send_replace(Stop::Finish);
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let mut late = std::mem::take(&mut *won.0.lock().unwrap_or_else(PoisonError::into_inner)).split_off(warm);
    late.sort_unstable();
    Ok(late)
}

/// What a claim costs at least: a read and a conditional replacement, in microseconds, sorted.
async fn claims_by_hand(times: usize, server: &dyn TestServer) -> Result<Vec<u64>> {
    let arbiter = Rfc2136::new(server.options("by-hand.example.test"))?;
    let rules = Rules { lease_ms: 10_000, ..Rules::new(Schedule::every(1).context("an interval")?) };
    let mut taken = Vec::new();
    for time in 0..times as u64 {
        let record = first_record("hand", &rules, None, Now { wall_ms: time * 1000, mono_ms: 0 });
        let begun = Instant::now();
        let seen = arbiter.read().await?;
        let outcome = arbiter.replace(&seen.revision, &record.encode()).await?;
        taken.push(u64::try_from(begun.elapsed().as_micros())?);
        ensure!(matches!(outcome, Replaced::Applied(_)), "nobody else writes here");
    }
    taken.sort_unstable();
    Ok(taken)
}
