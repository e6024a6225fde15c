//! The DNS server stops, restarts and is killed, and other jobs of the agent misbehave: rounds go on, and none is run twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use soloist_tests::agents::{Event, Fleet, eventually, now_ms, until_ms};
use soloist_tests::counter::{Call, Counter, Tally};
use soloist_tests::scene::{Scene, record};

const AGENTS: [&str; 3] = ["alto", "basso", "canto"];

/// How long something may take that takes a few seconds: far longer.
const LONG: Duration = Duration::from_secs(30);

/// Starts the agents, and gives the first of the rounds, one a second, that all of them are ready for.
async fn begin(fleet: &mut Fleet, job: &str, agents: &[&str]) -> u64 {
    fleet.due_at(&record(job), now_ms() / 1000 + 3600).await;
    fleet.start_all(agents).await;
    let first = now_ms() / 1000 + 2;
    fleet.due_at(&record(job), first).await;
    first
}

/// Waits until this round or a later one is run, and gives the latest.
async fn run_up_to(counter: &Counter, round: u64) -> u64 {
    let latest = async || counter.calls().iter().map(|call| call.fence.round).max().filter(|latest| *latest >= round);
    eventually(&format!("round {round} is run"), LONG, latest).await
}

/// What came of the rounds from `first` to the last one.
fn tally<'a>(calls: impl IntoIterator<Item = &'a Call>, first: u64) -> Tally {
    let calls: Vec<&Call> = calls.into_iter().collect();
    let last = calls.iter().map(|call| call.fence.round).max().unwrap_or(first);
    Tally::of(calls, first..last + 1, 1)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn rounds_go_on_when_the_dns_server_is_back() {
    const OUTAGE: Duration = Duration::from_secs(3);
    let mut scene = Scene::new().await;
    let tables = scene.job("count", "every = \"1s\"\ntimeout = \"5s\"", "mode = \"report\"");
    let mut fleet = scene.fleet(&tables);
    let first = begin(&mut fleet, "count", &AGENTS).await;
    let before = run_up_to(&scene.counter, first + 2).await;

    // Between two rounds, so that every agent finds no server when the next one is due.
    until_ms(before * 1000 + 500).await;
    scene.dns.terminate();
    assert!(scene.dns.wait().success());
    tokio::time::sleep(OUTAGE).await;
    scene.start_dns_again();
    let back = now_ms() / 1000;
    let resumed = run_up_to(&scene.counter, back).await;
    // After a longer outage the agents wait at most 5 s between two attempts to reach it.
    assert!(resumed <= back + 7, "the server was back at {back}, and {resumed} was the next round");
    run_up_to(&scene.counter, resumed + 3).await;

    let calls = scene.counter.calls();
    let tally = tally(&calls, first);
    assert_eq!(tally.twice, Vec::<String>::new(), "rounds that were run twice");
    assert!(tally.missing.iter().all(|round| (before..resumed).contains(round)), "missing: {:?}", tally.missing);
    let lost = |event: &Event| event.kind() == "trouble" && event.text("kind") == "read";
    assert!(fleet.log().first(lost).is_some(), "the log tells of the outage");
    assert!(fleet.log().first(|event| event.kind() == "recovered").is_some(), "and of its end");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn no_round_is_run_twice_when_the_dns_server_is_killed_around_a_claim() {
    let mut scene = Scene::new().await;
    let tables = scene.job("count", "every = \"1s\"\ntimeout = \"5s\"\nspread = \"0s\"", "mode = \"report\"");
    let mut fleet = scene.fleet(&tables);
    let first = begin(&mut fleet, "count", &AGENTS).await;
    let mut last = run_up_to(&scene.counter, first).await;
    // While the claims are on their way or just written, ...
    for after_ms in [1, 4, 8, 15] {
        until_ms((now_ms() / 1000 + 1) * 1000 + after_ms).await;
        scene.dns.kill();
        scene.start_dns_again();
        last = run_up_to(&scene.counter, last + 1).await;
    }
    // ... and when a claim was won and the run is under way, so that its end finds no server.
    for _ in 0..3 {
        last = run_up_to(&scene.counter, last + 1).await;
        scene.dns.kill();
        scene.start_dns_again();
    }
    run_up_to(&scene.counter, last + 2).await;
    let calls = scene.counter.calls();
    assert_eq!(tally(&calls, first).twice, Vec::<String>::new(), "rounds that were run twice");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn a_job_is_on_time_beside_others_that_loop_hang_flood_and_trap() {
    const ROUNDS: u64 = 8;
    let scene = Scene::new().await;
    let endless = "every = \"1s\"\ntimeout = \"1h\"";
    let short = "every = \"1s\"\ntimeout = \"5s\"";
    // One for each thread that runs modules.
    let cores = std::thread::available_parallelism().unwrap().get();
    let loops: Vec<String> = (0..cores).map(|core| format!("loops-{core}")).collect();
    let mut tables: Vec<String> = loops.iter().map(|name| scene.job(name, endless, "mode = \"loop\"")).collect();
    tables.push(scene.job("good", short, "mode = \"report\""));
    tables.push(scene.job("hangs", endless, "mode = \"sleep\"\nseconds = 3600"));
    tables.push(scene.job("floods", short, "mode = \"print\""));
    tables.push(scene.job("traps", short, "mode = \"trap\""));
    let mut fleet = scene.fleet(&tables.concat());
    let endless: Vec<&str> = loops.iter().map(String::as_str).chain(["hangs"]).collect();
    let first = begin(&mut fleet, "good", &AGENTS[..1]).await;
    for bad in &endless {
        let won = |event: &Event| event.job() == *bad && event.kind() == "won";
        eventually(&format!("`{bad}` runs"), LONG, async || fleet.log().first(won)).await;
    }
    let first = run_up_to(&scene.counter, first.max(now_ms() / 1000 + 1)).await;
    run_up_to(&scene.counter, first + ROUNDS).await;

    let calls: Vec<Call> = scene.counter.calls().into_iter().filter(|call| call.job == "good").collect();
    let tally = Tally::of(&calls, first..first + ROUNDS, 1);
    assert_eq!((&tally.twice, &tally.missing, &tally.retried), (&vec![], &vec![], &vec![]));
    let late =
        fleet.log().all(|event| event.job() == "good" && event.kind() == "won" && event.number("late_ms") >= 1000);
    assert!(late.is_empty(), "{late:?}");
    for bad in endless {
        let won = fleet.log().all(|event| event.job() == bad && event.kind() == "won").len();
        assert_eq!(won, 1, "`{bad}` is in its first run all the time");
    }
    for (bad, outcome) in [("floods", "output"), ("traps", "trap")] {
        let failed = |event: &Event| event.job() == bad && event.kind() == "ran" && event.text("outcome") == outcome;
        assert!(fleet.log().all(failed).len() >= 2, "`{bad}` fails again and again");
    }
}
