//! Many seeds, on all cores, and what came of them together.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::faults::Faults;
use crate::options::Options;
use crate::world::{self, Trace};

/// So many failures are enough.
const MOST_FAILURES: usize = 10;

/// How often a long run says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// The sums over many seeds.
#[derive(Default)]
pub(crate) struct Sums {
    seeds: u64,
    rounds: u64,
    starts: u64,
    written: u64,
    asked: u64,
    virtual_ms: u64,
    most_agents: usize,
    faults: Faults,
    pub(crate) failures: Vec<String>,
}

impl Sums {
    /// Runs one seed. A failure says what failed and how to see it again.
    pub(crate) fn run(&mut self, seed: u64, trace: Option<Trace>) {
        let options = Options::drawn(seed);
        let outcome = world::run(&options, None, trace);
        self.seeds += 1;
        self.rounds += outcome.rounds;
        self.starts += outcome.starts;
        self.written += outcome.written;
        self.asked += outcome.asked;
        self.virtual_ms += outcome.virtual_ms;
        self.most_agents = self.most_agents.max(options.agents);
        self.faults += &outcome.faults;
        if let Some(violation) = outcome.violations.first() {
            let (checker, at, problem) = (violation.checker, violation.at, &violation.problem);
            self.failures.push(format!(
                "{options:?}\n`{checker}` is violated at {at} ms: {problem}\nreplay: tests/simulate --seed {seed}\n    or: \
                 SOLOIST_SEED={seed} cargo test --workspace --test simulation every_seed -- --nocapture"
            ));
        }
    }

    fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.rounds += other.rounds;
        self.starts += other.starts;
        self.written += other.written;
        self.asked += other.asked;
        self.virtual_ms += other.virtual_ms;
        self.most_agents = self.most_agents.max(other.most_agents);
        self.faults += &other.faults;
        self.failures.extend(other.failures);
    }

    /// What came of them.
    pub(crate) fn report(&self, elapsed: Duration) -> String {
        let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        format!(
            "{} rounds in {} seeds, of 2 to {} agents: {} starts, {} requests, {} records written, {} h of virtual time\n\
             {} s: {} rounds a second\n{} faults:\n{}violations: {}",
            self.rounds,
            self.seeds,
            self.most_agents,
            self.starts,
            self.asked,
            self.written,
            self.virtual_ms / 3_600_000,
            ms / 1000,
            self.rounds * 1000 / ms,
            self.faults.total(),
            self.faults,
            self.failures.len()
        )
    }
}

/// Runs seeds from `first` on until `last`, or until so many rounds were run.
pub(crate) fn run(first: u64, last: u64, rounds: u64) -> Sums {
    let (next, done, failures) = (AtomicU64::new(first), AtomicU64::new(0), AtomicU64::new(0));
    let (sums, is_over) = (Mutex::new(Sums::default()), AtomicBool::new(false));
    let share = || {
        let mut own = Sums::default();
        while own.failures.len() < MOST_FAILURES && done.load(Ordering::Relaxed) < rounds {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= last {
                break;
            }
            let (rounds_before, failures_before) = (own.rounds, own.failures.len());
            own.run(seed, None);
            done.fetch_add(own.rounds - rounds_before, Ordering::Relaxed);
            failures.fetch_add((own.failures.len() - failures_before) as u64, Ordering::Relaxed);
        }
        sums.lock().expect("no simulation panics").add(own);
    };
    let watch = || {
        while !is_over.load(Ordering::Relaxed) {
            thread::park_timeout(PROGRESS);
            if rounds < u64::MAX && !is_over.load(Ordering::Relaxed) {
                let (done, failures) = (done.load(Ordering::Relaxed), failures.load(Ordering::Relaxed));
                say_progress(done, rounds, next.load(Ordering::Relaxed) - first, failures);
            }
        }
    };
    thread::scope(|scope| {
        let watcher = scope.spawn(watch);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let shares: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
        for share in shares {
            share.join().expect("no simulation panics");
        }
        is_over.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
    });
    sums.into_inner().expect("no simulation panics")
}

#[expect(clippy::print_stderr, reason = "a long simulation says how far it is")]
fn say_progress(done: u64, rounds: u64, seeds: u64, failures: u64) {
    eprintln!("{:>3} %: {done} of {rounds} rounds, {seeds} seeds, {failures} violations", done * 100 / rounds.max(1));
}
