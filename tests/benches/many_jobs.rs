//! How late rounds start where one agent has hundreds of jobs that are all due in the same second, and what memory each takes:
//! beside an agent with one job, and beside what as many claims cost by hand.
//!
//! `cargo bench --workspace --bench many_jobs` runs it, at the embedded server; `MANY_JOBS` (300) and `MANY_ROUNDS` (5) change
//! its size.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use soloist::arbiter::Arbiter as _;
use soloist::arbiter::rfc2136::Rfc2136;
use soloist::arbiter::tsig::Algorithm;
use soloist::round::contender::{Now, Rules, first_record};
use soloist::round::{Replaced, Schedule};
use soloist_tests::agents::Fleet;
use soloist_tests::heartbeat;
use soloist_tests::servers::{self, Kind, TestServer};

/// Seconds from round to round.
const EVERY: u64 = 5;

/// What was seen of one agent.
struct Figures {
    /// How late each round was won, in milliseconds, sorted.
    late: Vec<u64>,
    /// Its memory after all of them, in bytes.
    memory: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let (jobs, rounds) = (setting("MANY_JOBS", 300)?, setting("MANY_ROUNDS", 5)?);
    ensure!(jobs > 1 && rounds > 0, "there must be some");
    let server = servers::start(Kind::Embedded, Algorithm::HmacSha256).await?;
    println!("{rounds} rounds, one each {EVERY} s, all due in the same second, at the embedded server");
    let one = rounds_of(1, rounds, server.as_ref()).await?;
    let many = rounds_of(jobs, rounds, server.as_ref()).await?;
    let by_hand = claims_by_hand(jobs, rounds, server.as_ref()).await?;
    for (count, figures) in [(1, &one), (jobs, &many)] {
        let late = |percent| percentile(&figures.late, percent);
        println!(
            "{count} job{}: start lateness median {} ms, 90 % {} ms, worst {} ms; memory {} KiB",
            if count == 1 { "" } else { "s" },
            late(50),
            late(90),
            late(100),
            figures.memory / 1024,
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds and microseconds of a benchmark")]
    let ratio = percentile(&many.late, 100) as f64 * 1000.0 / by_hand as f64;
    println!("{jobs} claims at once by hand, one read and one conditional write each: median {} ms", by_hand / 1000);
    println!("ratio of the worst lateness to that: {ratio:.2}");
    let each = many.memory.saturating_sub(one.memory) / (jobs as u64 - 1);
    println!("memory for each job more: {} KiB", each / 1024);
    Ok(())
}

fn setting(name: &str, default: usize) -> Result<usize> {
    std::env::var(name).map_or(Ok(default), |text| text.parse().with_context(|| format!("{name} is no number")))
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// Runs an agent with so many jobs, each with a module of its own.
async fn rounds_of(jobs: usize, rounds: usize, server: &dyn TestServer) -> Result<Figures> {
    let names: Vec<String> = (0..jobs).map(|number| format!("j{number}")).collect();
    let mut tables = String::new();
    for name in &names {
        let record = format!("{name}.of{jobs}.example.test");
        writeln!(tables, "[job.{name}]\nrecord = \"{record}\"\nevery = \"{EVERY}s\"\nmodule = \"{name}.wat\"")?;
    }
    let mut fleet = Fleet::new(server.address(), server.key(), &tables);
    for name in &names {
        std::fs::write(fleet.path(&format!("{name}.wat")), heartbeat::saying(name))?;
    }
    // All of the same words but for the name: each is compiled on its own.
    fleet.start_all(&["agent"]).await;
    let after = fleet.log().all(|event| event.kind() == "swapped").last().context("it has modules")?.at_ms / 1000;
    // Every job takes part from the first whole round on.
    let first = (after / EVERY + 2) * EVERY;
    let wanted: Vec<u64> = (0..rounds as u64).map(|number| first + number * EVERY).collect();
    let begun = Instant::now();
    let limit = Duration::from_secs(60 + 2 * EVERY * rounds as u64);
    let late = loop {
        // Seldom: to look through the log takes a core.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let won = fleet.log().all(|event| event.kind() == "won" && wanted.contains(&event.number("round")));
        let late: BTreeMap<(String, u64), u64> = won
            .iter()
            .map(|event| ((event.job().to_owned(), event.number("round")), event.number("late_ms")))
            .collect();
        if late.len() == jobs * rounds {
            break late;
        }
        ensure!(begun.elapsed() < limit, "{} of {} rounds were won", late.len(), jobs * rounds);
    };
    let (_, memory) = fleet.memory("agent");
    fleet.kill("agent");
    let mut late: Vec<u64> = late.into_values().collect();
    late.sort_unstable();
    Ok(Figures { late, memory })
}

/// What as many claims at once cost at least: the median of the time until the last one is done, in microseconds.
async fn claims_by_hand(claims: usize, times: usize, server: &dyn TestServer) -> Result<u64> {
    let rules = Rules { lease_ms: 10_000, ..Rules::new(Schedule::every(1).context("an interval")?) };
    let arbiters: Vec<Rfc2136> = (0..claims)
        .map(|number| Rfc2136::new(server.options(&format!("h{number}.by-hand.example.test"))))
        .collect::<Result<_, _>>()?;
    let mut taken = Vec::new();
    // The first time opens the connections.
    for time in 0..=times as u64 {
        let begun = Instant::now();
        let all = arbiters.iter().map(async |arbiter| {
            let record = first_record("hand", &rules, None, Now { wall_ms: time * 1000, mono_ms: 0 });
            let seen = arbiter.read().await?;
            let outcome = arbiter.replace(&seen.revision, &record.encode()).await?;
            ensure!(matches!(outcome, Replaced::Applied(_)), "nobody else writes here");
            Ok(())
        });
        try_join_all(all).await?;
        taken.push(u64::try_from(begun.elapsed().as_micros())?);
    }
    taken.remove(0);
    taken.sort_unstable();
    Ok(percentile(&taken, 50))
}
