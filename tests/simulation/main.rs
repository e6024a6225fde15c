//! The real contender and codec in virtual time: everything that can go wrong does, drawn from one seed.
//!
//! `SOLOIST_SEED=5` runs one seed and prints what happens; `SOLOIST_SEEDS=100000` runs so many and prints the sums;
//! `SOLOIST_FIRST_SEED=7` begins with another seed than 0.

mod agent;
mod arbiter;
mod broken;
mod checkers;
mod clock;
mod faults;
mod history;
mod network;
mod options;
mod world;

use std::env;
use std::thread;
use std::time::Instant;

use broken::Broken;
use faults::Faults;
use history::Happening;
use options::Options;

/// How many seeds are run when nothing else is asked for.
const SEEDS: u64 = 200;

/// Within so many seeds everything broken is caught.
const SEEDS_TO_CATCH: u64 = 500;

/// The sums over many seeds.
#[derive(Default)]
struct Sums {
    seeds: u64,
    rounds: u64,
    starts: u64,
    written: u64,
    virtual_ms: u64,
    faults: Faults,
    failures: Vec<String>,
}

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

/// Runs one seed; an error says what failed and how to see it again.
fn run(seed: u64, is_traced: bool, sums: &mut Sums) {
    let options = Options::drawn(seed);
    if is_traced {
        say(&format!("{options:#?}"));
    }
    let outcome = world::run(&options, None, is_traced.then_some(trace));
    sums.seeds += 1;
    sums.rounds += outcome.rounds;
    sums.starts += outcome.starts;
    sums.written += outcome.written;
    sums.virtual_ms += outcome.virtual_ms;
    sums.faults += &outcome.faults;
    for violation in outcome.violations {
        let (checker, at, problem) = (violation.checker, violation.at, violation.problem);
        sums.failures.push(format!(
            "{options:?}\n`{checker}` is violated at {at} ms: {problem}\nreplay: SOLOIST_SEED={seed} cargo test \
             --workspace --test simulation every_seed -- --nocapture"
        ));
    }
}

/// Runs every `step`th seed of a range.
fn run_some(first: u64, last: u64, step: u64) -> Sums {
    let mut sums = Sums::default();
    for seed in (first..last).step_by(usize::try_from(step).unwrap_or(1)) {
        run(seed, false, &mut sums);
        if sums.failures.len() >= 10 {
            break;
        }
    }
    sums
}

#[test]
fn every_seed_keeps_every_promise() {
    let mut sums = Sums::default();
    let begun = Instant::now();
    if let Some(seed) = number("SOLOIST_SEED") {
        run(seed, true, &mut sums);
    } else {
        let first = number("SOLOIST_FIRST_SEED").unwrap_or(0);
        let last = first + number("SOLOIST_SEEDS").unwrap_or(SEEDS);
        let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
        let shares: Vec<_> =
            (0..threads).map(|share| thread::spawn(move || run_some(first + share, last, threads))).collect();
        for share in shares {
            let some = share.join().expect("a simulation does not panic");
            sums.seeds += some.seeds;
            sums.rounds += some.rounds;
            sums.starts += some.starts;
            sums.written += some.written;
            sums.virtual_ms += some.virtual_ms;
            sums.faults += &some.faults;
            sums.failures.extend(some.failures);
        }
    }
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    say(&format!(
        "{} seeds, {} rounds in {} starts with {} records written, {} h of virtual time in {} s: {} rounds \
         a second\n{} faults:\n{}violations: {}",
        sums.seeds,
        sums.rounds,
        sums.starts,
        sums.written,
        sums.virtual_ms / 3_600_000,
        ms / 1000,
        sums.rounds * 1000 / ms,
        sums.faults.total(),
        sums.faults,
        sums.failures.len()
    ));
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
