//! Five agents, a round a second, 100 rounds: each run exactly once, counted at a real HTTP server that the job calls. And
//! over an API that only overwrites, where claims settle first: none run twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use soloist::arbiter::tsig::Algorithm;
use soloist_tests::agents::{Fleet, eventually, now_ms};
use soloist_tests::counter::{Counter, Tally};
use soloist_tests::probe;
use soloist_tests::servers::{self, Kind, PowerDns};

const AGENTS: [&str; 5] = ["alto", "basso", "canto", "dulcian", "echo"];
const ROUNDS: u64 = 100;
const RECORD: &str = "count.example.test";

/// How far off the first round is while the agents are not yet ready, in seconds.
const NOT_YET: u64 = 3600;

/// The job's tables: a round every so many seconds.
fn job(origin: &str, every: u64) -> String {
    format!(
        r#"
[job.count]
record = "{RECORD}"
every = "{every}s"
module = "probe.wasm"
timeout = "5s"
[job.count.grants]
http = ["{origin}"]
slack = []
[job.count.config]
mode = "report"
url = "{origin}/report"
"#
    )
}

async fn every_round_is_run_exactly_once(kind: Kind) {
    let server = servers::start(kind, Algorithm::HmacSha256).await.unwrap();
    let counter = Counter::start().await;
    let mut fleet = Fleet::new(server.address(), server.key(), &job(&counter.origin(), 1));
    std::fs::write(fleet.path("probe.wasm"), probe::version(1)).unwrap();
    fleet.due_at(RECORD, now_ms() / 1000 + NOT_YET).await;
    fleet.start_all(&AGENTS).await;
    let first = now_ms() / 1000 + 2;
    fleet.due_at(RECORD, first).await;

    let rounds = first..first + ROUNDS;
    let past_the_last = Duration::from_secs(ROUNDS + 30);
    eventually("a round after the last one is run", past_the_last, async || {
        counter.first(|call| call.fence.round >= rounds.end)
    })
    .await;

    let calls = counter.calls();
    let tally = Tally::of(&calls, rounds.clone(), 1);
    let won = fleet.log().all(|event| event.kind() == "won" && rounds.contains(&event.number("round")));
    let mut late: Vec<u64> = won.iter().map(|event| event.number("late_ms")).collect();
    late.sort_unstable();
    summary(&format!("{kind:?}"), &tally, &late);
    assert_eq!(calls[0].fence.round, first, "nothing was run before the first round");
    assert_eq!(tally.twice, Vec::<String>::new(), "rounds that were run twice");
    assert_eq!(tally.missing, Vec::<u64>::new(), "rounds that were not run");
    assert_eq!(tally.retried, [], "attempts after the first");
    assert_eq!(tally.rounds, usize::try_from(ROUNDS).unwrap());
    assert_eq!(late.len(), tally.rounds, "the log tells of each round's winner once");
}

#[expect(clippy::print_stdout, reason = "what a reader of the test's output wants to know")]
fn summary(over: &str, tally: &Tally, late: &[u64]) {
    let wins: Vec<String> = tally.wins.iter().map(|(agent, wins)| format!("{agent} {wins}")).collect();
    println!(
        "{over}: {} rounds, {} twice, {} missing; won by {}; late by {} ms in the median, {} ms at worst",
        tally.rounds,
        tally.twice.len(),
        tally.missing.len(),
        wins.join(", "),
        late.get(late.len() / 2).copied().unwrap_or_default(),
        late.last().copied().unwrap_or_default(),
    );
}

/// How many rounds are run over the API, and how many seconds apart.
const SETTLED_ROUNDS: u64 = 60;
const APART: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PowerDNS and the probe built by jobs/build; tests/run provides both"]
#[expect(clippy::print_stdout, reason = "what a reader of the test's output wants to know")]
async fn five_agents_run_no_round_twice_over_the_api_of_powerdns() {
    let server = PowerDns::start(Algorithm::HmacSha256).await.unwrap();
    let counter = Counter::start().await;
    let mut fleet = Fleet::at_api(&server, "timeout = \"400ms\"", &job(&counter.origin(), APART));
    std::fs::write(fleet.path("probe.wasm"), probe::version(1)).unwrap();
    let far = (now_ms() / 1000 + NOT_YET).next_multiple_of(APART);
    fleet.due_at(RECORD, far).await;
    fleet.start_all(&AGENTS).await;
    let first = (now_ms() / 1000 + 3).next_multiple_of(APART);
    fleet.due_at(RECORD, first).await;

    let rounds = first..first + SETTLED_ROUNDS * APART;
    let past_the_last = Duration::from_secs(SETTLED_ROUNDS * APART + 60);
    eventually("a round after the last one is run", past_the_last, async || {
        counter.first(|call| call.fence.round >= rounds.end)
    })
    .await;

    let calls = counter.calls();
    let tally = Tally::of(&calls, rounds.clone(), usize::try_from(APART).unwrap());
    let won = fleet.log().all(|event| event.kind() == "won" && rounds.contains(&event.number("round")));
    let mut late: Vec<u64> = won.iter().map(|event| event.number("late_ms")).collect();
    late.sort_unstable();
    summary("the API of PowerDNS", &tally, &late);
    let logged = |kind: &str| fleet.log().all(|event| event.kind() == kind).len();
    println!("{} claims were lost, {} writes unknown", logged("lost"), logged("unknown"));
    assert_eq!(tally.twice, Vec::<String>::new(), "rounds that were run twice");
    // A write that is late on a busy machine delays its round, and with it leaves out the next: best effort.
    assert!(
        tally.rounds * 2 > usize::try_from(SETTLED_ROUNDS).unwrap(),
        "rounds that were not run: {:?}",
        tally.missing
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs BIND 9 and the probe built by jobs/build; tests/run provides both"]
async fn five_agents_run_each_of_100_rounds_exactly_once_over_bind() {
    every_round_is_run_exactly_once(Kind::Bind).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Knot and the probe built by jobs/build; tests/run provides both"]
async fn five_agents_run_each_of_100_rounds_exactly_once_over_knot() {
    every_round_is_run_exactly_once(Kind::Knot).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PowerDNS and the probe built by jobs/build; tests/run provides both"]
async fn five_agents_run_each_of_100_rounds_exactly_once_over_powerdns() {
    every_round_is_run_exactly_once(Kind::PowerDns).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn five_agents_run_each_of_100_rounds_exactly_once_over_the_embedded_server() {
    every_round_is_run_exactly_once(Kind::Embedded).await;
}
