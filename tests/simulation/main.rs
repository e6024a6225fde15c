//! The real contender and codec in virtual time: everything that can go wrong does, drawn from one seed.
//!
//! `SOLOIST_SEED=5` runs one seed and prints what happens; `SOLOIST_SEEDS=1000` runs so many and prints the sums, and
//! `SOLOIST_ROUNDS=1000000` as many as it takes; `SOLOIST_FIRST_SEED=7` begins with another seed than 0. `tests/simulate`
//! does all of it with optimisation.

mod agent;
mod arbiter;
mod broken;
mod checkers;
mod clock;
mod faults;
mod history;
mod many;
mod network;
mod options;
mod world;

use std::env;
use std::time::Instant;

use broken::Broken;
use history::Happening;
use many::Sums;
use options::Options;
use world::Settled;

/// How many seeds are run when nothing else is asked for.
const SEEDS: u64 = 200;

/// Within so many seeds everything broken is caught.
const SEEDS_TO_CATCH: u64 = 500;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("`{variable}` must be a number")))
}

#[expect(clippy::print_stdout, reason = "what a long simulation found is its output")]
fn say(text: &str) {
    println!("{text}");
}

fn trace(at: u64, happening: &Happening) {
    say(&format!("{:>9.3} {happening:?}", std::time::Duration::from_millis(at).as_secs_f64()));
}

#[test]
fn every_seed_keeps_every_promise() {
    let begun = Instant::now();
    let sums = if let Some(seed) = number("SOLOIST_SEED") {
        let mut sums = Sums::default();
        say(&format!("{:#?}", Options::drawn(seed)));
        sums.run(seed, Some(trace));
        sums
    } else {
        let first = number("SOLOIST_FIRST_SEED").unwrap_or(0);
        match number("SOLOIST_ROUNDS") {
            Some(rounds) => many::run(first, u64::MAX, rounds),
            None => many::run(first, first + number("SOLOIST_SEEDS").unwrap_or(SEEDS), u64::MAX),
        }
    };
    say(&sums.report(begun.elapsed()));
    assert!(sums.failures.is_empty(), "{}", sums.failures.join("\n\n"));
}

#[test]
fn everything_that_is_broken_is_caught_by_the_checker_for_it() {
    let mut missed = Vec::new();
    for (broken, checker) in Broken::ALL {
        let caught = (0..SEEDS_TO_CATCH).find(|seed| {
            let outcome = world::run(&Options::drawn(*seed), Some((broken, checker)), None);
            outcome.violations.iter().any(|violation| violation.checker == checker)
        });
        match caught {
            Some(seed) => say(&format!("{broken:?} is caught by `{checker}` with seed {seed}")),
            None => missed.push((broken, checker)),
        }
    }
    assert!(missed.is_empty(), "not caught within {SEEDS_TO_CATCH} seeds: {missed:?}");
}

#[test]
fn a_seed_always_tells_the_same_story() {
    for seed in [1, 2, 3] {
        let options = Options::drawn(seed);
        let (one, two) = (world::run(&options, None, None), world::run(&options, None, None));
        assert_eq!((one.starts, one.written, one.virtual_ms), (two.starts, two.written, two.virtual_ms));
        assert_eq!(one.faults, two.faults);
    }
}

#[test]
fn a_thousand_agents_do_not_swamp_the_arbiter() {
    say(
        "every 60 s, a lease of 35 s, no faults\n  run spread agents   reads (an agent) updates applied  busiest second",
    );
    for (run_ms, spread_ms) in [(1_000, 50), (1_000, 2_000), (30_000, 50), (30_000, 2_000)] {
        for agents in [1, 10, 100, 1000] {
            let load = world::load(&Options::calm(agents, run_ms, spread_ms), 10);
            #[expect(clippy::cast_precision_loss, reason = "it is a thousand at most")]
            let each = load.reads / agents as f64;
            say(&format!(
                "{:>3} s {:>4} ms {agents:>6} {:>7.1} {each:>10.2} {:>7.1} {:>7.1} {:>15}",
                run_ms / 1000,
                spread_ms,
                load.reads,
                load.updates,
                load.written,
                load.peak
            ));
        }
    }
}

/// The longest way of a replacement, in tenths of the time that a claim settles: within these it must never fail. (The read
/// that it rests on takes one.)
const WITHIN: [u64; 4] = [2, 5, 8, 9];
const BEYOND: [u64; 6] = [10, 12, 15, 20, 50, 100];

#[test]
fn an_arbiter_that_only_overwrites_never_fails_while_its_requests_keep_to_the_bound() {
    const WAIT_MS: u64 = 500;
    if let (Some(seed), Some(write_ms)) = (number("SOLOIST_SEED"), number("SOLOIST_WRITE_MS")) {
        return say(&format!("{:?}", world::settle(&Options::settling(seed, WAIT_MS, write_ms), Some(trace))));
    }
    let rounds = number("SOLOIST_ROUNDS").unwrap_or(500);
    say(
        "longest way of a replacement\n  / settling time  rounds  fences twice  runs overlapping  run again  per 10,000 rounds",
    );
    for tenths in WITHIN.into_iter().chain(BEYOND) {
        let mut sum = Settled::default();
        // Where replacements take too long fewer rounds are run.
        for seed in 0..rounds {
            if sum.rounds >= rounds {
                break;
            }
            let options = Options::settling(seed, WAIT_MS, WAIT_MS * tenths / 10);
            let settled = world::settle(&options, None);
            assert!(
                settled.failures() == 0 || !WITHIN.contains(&tenths),
                "{options:?}\n{settled:?}\nreplay: SOLOIST_SEED={seed} SOLOIST_WRITE_MS={} cargo test --workspace --test \
                 simulation overwrites -- --nocapture",
                WAIT_MS * tenths / 10
            );
            sum += settled;
        }
        #[expect(clippy::cast_precision_loss, reason = "these are counts of a few seconds of simulation")]
        let often = sum.failures() as f64 * 10_000.0 / sum.rounds.max(1) as f64;
        say(&format!(
            "{:>15}.{} {:>7} {:>13} {:>17} {:>10} {often:>18.1}",
            tenths / 10,
            tenths % 10,
            sum.rounds,
            sum.doubles,
            sum.overlaps,
            sum.again
        ));
    }
}
