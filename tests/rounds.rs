//! Five agents, a round a second, 100 rounds: each run exactly once, counted at a real HTTP server that the job calls.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use soloist::arbiter::tsig::Algorithm;
use soloist_tests::agents::{Fleet, eventually, now_ms};
use soloist_tests::counter::{Counter, Tally};
use soloist_tests::probe;
use soloist_tests::servers::{self, Kind};

const AGENTS: [&str; 5] = ["alto", "basso", "canto", "dulcian", "echo"];
const ROUNDS: u64 = 100;
const RECORD: &str = "count.example.test";

/// How far off the first round is while the agents are not yet ready, in seconds.
const NOT_YET: u64 = 3600;

async fn every_round_is_run_exactly_once(kind: Kind) {
    let server = servers::start(kind, Algorithm::HmacSha256).await.unwrap();
    let counter = Counter::start().await;
    let origin = counter.origin();
    let mut fleet = Fleet::new(
        server.address(),
        server.key(),
        &format!(
            r#"
[job.count]
record = "{RECORD}"
every = "1s"
module = "probe.wasm"
timeout = "5s"
[job.count.grants]
http = ["{origin}"]
slack = []
[job.count.config]
mode = "report"
url = "{origin}/report"
"#
        ),
    );
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
    summary(kind, &tally, &late);
    assert_eq!(calls[0].fence.round, first, "nothing was run before the first round");
    assert_eq!(tally.twice, Vec::<String>::new(), "rounds that were run twice");
    assert_eq!(tally.missing, Vec::<u64>::new(), "rounds that were not run");
    assert_eq!(tally.retried, [], "attempts after the first");
    assert_eq!(tally.rounds, usize::try_from(ROUNDS).unwrap());
    assert_eq!(late.len(), tally.rounds, "the log tells of each round's winner once");
}

#[expect(clippy::print_stdout, reason = "what a reader of the test's output wants to know")]
fn summary(kind: Kind, tally: &Tally, late: &[u64]) {
    let wins: Vec<String> = tally.wins.iter().map(|(agent, wins)| format!("{agent} {wins}")).collect();
    println!(
        "{kind:?}: {} rounds, {} twice, {} missing; won by {}; late by {} ms in the median, {} ms at worst",
        tally.rounds,
        tally.twice.len(),
        tally.missing.len(),
        wins.join(", "),
        late.get(late.len() / 2).copied().unwrap_or_default(),
        late.last().copied().unwrap_or_default(),
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
