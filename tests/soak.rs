//! Many agents on one job at BIND, and one of them killed every ten seconds: no fence is run twice, no round is lost, and
//! the job is never without a run for longer than a lease and two seconds.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use soloist::arbiter::tsig::Algorithm;
use soloist_tests::account::{Account, Rounds, told};
use soloist_tests::agents::{Event, Fleet, Log, eventually, now_ms, until_ms};
use soloist_tests::heartbeat;
use soloist_tests::servers::{self, Kind};

const RECORD: &str = "count.example.test";

/// Seconds between two rounds.
const EVERY: u64 = 2;

/// How long a claim stands, in seconds.
const LEASE: u64 = 4;

/// How long a run takes.
const RUN: Duration = Duration::from_millis(300);

/// How often an agent is killed, in milliseconds.
const KILL_EVERY_MS: u64 = 10_000;

/// How many agents are started at a time: each compiles the module, and the server is to be reached.
const AT_ONCE: usize = 4;

/// How long something may take that takes a few seconds: far longer.
const LONG: Duration = Duration::from_secs(60);

/// Seconds of play, agents and the seed of what is drawn; each from a variable, where it is set.
struct Plan {
    seconds: u64,
    agents: usize,
    seed: u64,
}

impl Plan {
    fn read() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("it is a number"));
        Self {
            seconds: number("SOLOIST_SOAK").unwrap_or(60),
            agents: usize::try_from(number("SOLOIST_SOAK_AGENTS").unwrap_or(50)).unwrap(),
            seed: number("SOLOIST_SOAK_SEED").unwrap_or_else(|| rand::rng().random_range(0..1_000_000)),
        }
    }
}

#[expect(clippy::print_stdout, reason = "what a reader of the test's output wants to know")]
fn tell(figure: &str) {
    println!("{figure}");
}

/// Who dies next.
#[derive(Debug)]
enum Victim {
    /// Whoever has won the round by then, so long after the due time, in milliseconds.
    Winner(u64),
    /// The agent that was started so many before the newest.
    Any(usize),
}

fn draw(rng: &mut StdRng, agents: usize) -> Victim {
    if rng.random_bool(0.5) {
        Victim::Winner(rng.random_range(50..300))
    } else {
        Victim::Any(rng.random_range(0..agents))
    }
}

/// The agents, the oldest first.
struct Band {
    fleet: Fleet,
    agents: VecDeque<String>,
    started: usize,
}

impl Band {
    async fn start(&mut self, how_many: usize) {
        let names: Vec<String> =
            (self.started..self.started + how_many).map(|number| format!("a{number:03}")).collect();
        self.fleet.start_all(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        self.started += how_many;
        self.agents.extend(names);
    }

    /// Kills one and starts another in its stead, without waiting for it; whether it had the round.
    async fn kill(&mut self, victim: &Victim) -> bool {
        let name = match victim {
            Victim::Any(number) => self.agents[self.agents.len() - 1 - number].clone(),
            Victim::Winner(after_ms) => {
                let due = (now_ms() / 1000 + 1).next_multiple_of(EVERY);
                until_ms(due * 1000 + after_ms).await;
                let log = self.fleet.log().clone();
                let won = |event: &Event| event.kind() == "won" && event.number("round") >= due;
                eventually("a round is won", LONG, async || log.first(won)).await.agent
            }
        };
        let had_it = is_in_a_run(self.fleet.log(), &name);
        self.fleet.kill(&name);
        self.agents.retain(|agent| *agent != name);
        let new = format!("a{:03}", self.started);
        self.started += 1;
        self.fleet.start(&new);
        self.agents.push_back(new);
        had_it
    }

    /// Seconds of a processor's time that all of them have taken, and the bytes of memory that they hold.
    fn cost(&self) -> (f64, u64) {
        let costs = self.agents.iter().map(|agent| (self.fleet.processor_seconds(agent), self.fleet.memory(agent).1));
        costs.fold((0.0, 0), |(seconds, bytes), (more, held)| (seconds + more, bytes + held))
    }
}

/// Whether an agent has won a round, and no run has ended since.
fn is_in_a_run(log: &Log, agent: &str) -> bool {
    let last = log.all(|event| event.agent == agent && matches!(event.kind(), "won" | "ran")).pop();
    last.is_some_and(|event| event.kind() == "won")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs BIND 9; tests/run provides it"]
async fn fifty_agents_of_which_one_is_killed_every_ten_seconds_lose_no_round() {
    let plan = Plan::read();
    let mut rng = StdRng::seed_from_u64(plan.seed);
    tell(&format!(
        "{} agents for {} s; again: SOLOIST_SOAK={1} SOLOIST_SOAK_AGENTS={0} SOLOIST_SOAK_SEED={2} \
         cargo test --workspace --test soak -- --ignored --nocapture",
        plan.agents, plan.seconds, plan.seed
    ));
    let server = servers::start(Kind::Bind, Algorithm::HmacSha256).await.unwrap();
    let tables = format!(
        "[job.count]\nrecord = \"{RECORD}\"\nevery = \"{EVERY}s\"\nmodule = \"heartbeat.wat\"\ntimeout = \"2s\"\n\
         lease = \"{LEASE}s\"\nattempts = 10\nmissed = \"catch-up\"\n"
    );
    let fleet = Fleet::new(server.address(), server.key(), &tables);
    std::fs::write(fleet.path("heartbeat.wat"), heartbeat::working(RUN)).unwrap();
    let mut band = Band { fleet, agents: VecDeque::new(), started: 0 };
    band.fleet.due_at(RECORD, now_ms() / 1000 + 3600).await;
    while band.agents.len() < plan.agents {
        band.start(AT_ONCE.min(plan.agents - band.agents.len())).await;
    }

    let (before, begun) = (band.cost().0, Instant::now());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let share = (band.cost().0 - before) / begun.elapsed().as_secs_f64();
    tell(&format!("idle: {:.1} % of one processor and {} MB for all of them", share * 100.0, band.cost().1 >> 20));

    let first = (now_ms() / 1000 + 3).next_multiple_of(EVERY);
    band.fleet.due_at(RECORD, first).await;
    let (mut kills, mut in_a_run) = (0, 0);
    let end = first + plan.seconds;
    let mut next_ms = first * 1000 + KILL_EVERY_MS;
    while next_ms + 1000 * LEASE < end * 1000 {
        until_ms(next_ms).await;
        let victim = draw(&mut rng, plan.agents);
        kills += 1;
        in_a_run += usize::from(band.kill(&victim).await);
        next_ms += KILL_EVERY_MS;
    }
    let log = band.fleet.log().clone();
    let past = |event: &Event| event.kind() == "finished" && event.number("round") >= end;
    eventually("the rounds after the last one", LONG + Duration::from_secs(plan.seconds), async || log.first(past))
        .await;

    let rounds = Rounds { all: first..=end, every: EVERY, unreachable: None };
    let starts = told(&log);
    let account = Account::of(&starts, &log, &rounds);
    tell(&format!("{account}; {kills} agents killed, {in_a_run} of them in a run"));
    assert_eq!(account.twice, Vec::<String>::new(), "fences that were run twice");
    assert_eq!(account.lost, Vec::<u64>::new(), "rounds that were lost");
    assert_eq!(account.merged, 0, "each round is made up for that was due during a lease");
    assert!(account.gap_ms < 1000 * (LEASE + 2), "no run for {} ms", account.gap_ms);
}
