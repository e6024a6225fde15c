//! Jobs that misbehave or reach for what they were not granted: an ordinary failed run, with its reason in the log and its
//! code in the record, bounded memory, and the next round on time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use soloist::round::{Outcome, State};
use soloist_tests::agents::{Event, Fleet, eventually, now_ms};
use soloist_tests::counter::Counter;
use soloist_tests::scene::{Scene, record};

const AGENT: &str = "alto";
const ROUNDS: u64 = 3;

/// How long something may take that takes a few seconds: far longer.
const LONG: Duration = Duration::from_secs(30);

/// The memory that each job may have.
const JOB_MIB: u64 = 64;

/// What an agent may need beside the memory of its job: buffers, output that is kept, what the allocator keeps back.
const AGENT_MIB: u64 = 64;

fn is(kind: &str, job: &str) -> impl Fn(&Event) -> bool {
    move |event| event.kind() == kind && event.job() == job
}

/// Starts the agent with its one job, `bad`, which is due every second, and gives the first round.
async fn begin(fleet: &mut Fleet) -> u64 {
    fleet.due_at(&record("bad"), now_ms() / 1000 + 3600).await;
    fleet.start_all(&[AGENT]).await;
    let first = now_ms() / 1000 + 2;
    fleet.due_at(&record("bad"), first).await;
    first
}

/// Runs the probe in a mode in which it fails, and holds the agent to it.
async fn fails(config: &str, outcome: Outcome, reason: &str) {
    let scene = Scene::new().await;
    let rules = format!("every = \"1s\"\ntimeout = \"700ms\"\nattempts = 1\nmemory = \"{JOB_MIB}MiB\"");
    let mut fleet = scene.fleet(&scene.job("bad", &rules, config));
    let first = begin(&mut fleet).await;
    let (peak_before, before) = fleet.memory(AGENT);
    let ran = eventually("the job has failed in some rounds", LONG, async || {
        let ran = fleet.log().all(is("ran", "bad"));
        (ran.len() as u64 >= ROUNDS).then_some(ran)
    })
    .await;

    for event in &ran {
        assert_eq!(event.text("outcome"), outcome.code(), "{}", event.said);
        assert!(event.text("reason").contains(reason), "{}", event.said);
    }
    let won = fleet.log().all(is("won", "bad"));
    let rounds: Vec<u64> = won.iter().map(|event| event.number("round")).collect();
    assert_eq!(rounds, (first..).take(rounds.len()).collect::<Vec<u64>>(), "every round was claimed, once");
    let late: Vec<u64> = won.iter().map(|event| event.number("late_ms")).filter(|late_ms| *late_ms >= 1000).collect();
    assert!(late.is_empty(), "late by {late:?} ms");
    let code = eventually("the record tells how a run ended", LONG, async || {
        let (_, record) = fleet.read(&record("bad")).await;
        (record.state == State::Idle).then_some(record.outcome)
    })
    .await;
    assert_eq!(code, Some(outcome));

    let (peak, after) = fleet.memory(AGENT);
    let (mib, most) = (1 << 20, (JOB_MIB + AGENT_MIB) << 20);
    assert!(peak - peak_before <= most, "from {} to {} MiB at its peak", peak_before / mib, peak / mib);
    // Between two runs nothing of the job's memory is left.
    assert!(after.saturating_sub(before) <= most, "from {} to {} MiB", before / mib, after / mib);
    assert!(scene.counter.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn an_endless_loop_is_a_timeout_and_the_next_round_is_on_time() {
    fails("mode = \"loop\"", Outcome::Timeout, "still running at its deadline").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn four_gigabytes_asked_for_are_refused_and_the_next_round_is_on_time() {
    fails("mode = \"alloc\"\nbytes = 4_000_000_000", Outcome::Memory, "more memory than the limit of 64 MiB").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn a_gigabyte_printed_is_cut_off_and_the_next_round_is_on_time() {
    fails("mode = \"print\"\nbytes = 1_000_000_000", Outcome::Output, "printed more than the limit of").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn a_trap_is_a_failed_run_and_the_next_round_is_on_time() {
    fails("mode = \"trap\"", Outcome::Trap, "unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn a_panic_is_a_failed_run_and_the_next_round_is_on_time() {
    fails("mode = \"panic\"", Outcome::Panic, "the probe panics as it was told").await;
}

/// A job that gets a URL.
fn fetcher(name: &str, url: &str, grants: &str) -> String {
    let record = record(name);
    format!(
        "[job.{name}]\nrecord = \"{record}\"\nmodule = \"probe.wasm\"\nevery = \"1s\"\ntimeout = \"5s\"\n\
         [job.{name}.grants]\n{grants}\n[job.{name}.config]\nmode = \"fetch\"\nurl = \"{url}\"\n\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn a_job_reaches_nothing_that_it_was_not_granted_and_is_told_which_grant_is_missing() {
    const METADATA: &str = "http://169.254.169.254";
    let scene = Scene::new().await;
    let secret = Counter::start().await;
    let (granted, forbidden) = (scene.counter.origin(), secret.origin());
    let grants = format!("http = [\"{granted}\"]\nslack = []");
    let tables = [
        fetcher("good", &format!("{granted}/hello"), &grants),
        fetcher("other", &format!("{forbidden}/secret"), &grants),
        fetcher("metadata", &format!("{METADATA}/latest/meta-data/"), &grants),
        fetcher("redirect", &format!("{granted}/to/{}", secret.port()), &grants),
    ];
    let mut fleet = scene.fleet(&tables.concat());
    fleet.start_all(&[AGENT]).await;
    for (job, origin) in [("other", forbidden.as_str()), ("metadata", METADATA), ("redirect", forbidden.as_str())] {
        let ran = eventually(&format!("`{job}` runs"), LONG, async || fleet.log().first(is("ran", job))).await;
        let line = format!("write `http = [\"{granted}\", \"{origin}\"]` under `[job.{job}.grants]`");
        assert_eq!(ran.text("outcome"), Outcome::Error.code(), "{}", ran.said);
        assert!(ran.text("reason").contains(&format!("was not granted `{origin}`: {line}")), "{}", ran.said);
        let code = eventually(&format!("the record of `{job}` tells it"), LONG, async || {
            fleet.read(&record(job)).await.1.outcome
        })
        .await;
        assert_eq!(code, Outcome::Error);
    }
    let ran = eventually("`good` runs", LONG, async || fleet.log().first(is("ran", "good"))).await;
    assert_eq!(ran.text("summary"), "status 200: the counter", "{}", ran.said);
    // The redirect was answered, and led nowhere.
    assert!(scene.counter.others().iter().any(|request| request.starts_with("GET /to/")));
    assert_eq!(secret.others(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn a_module_that_needs_a_grant_it_does_not_have_is_refused_with_the_line_to_add() {
    let scene = Scene::new().await;
    let tables = [
        fetcher("nothing", &scene.counter.origin(), ""),
        fetcher("no-slack", &scene.counter.origin(), "http = [\"https://api.example.com\"]"),
    ];
    let mut fleet = scene.fleet(&tables.concat());
    fleet.start(AGENT);
    for (job, line) in [("nothing", "http = [\"https://…\"]"), ("no-slack", "slack = [\"#…\"]")] {
        let refused = eventually("the module is refused", LONG, async || fleet.log().first(is("refused", job))).await;
        let advice = format!("add `{line}` under `[job.{job}.grants]`");
        assert!(refused.text("reason").contains(&advice), "{}", refused.said);
    }
    // A round is due and nobody here can run it: that is said, and nothing is claimed.
    let trouble = |event: &Event| event.kind() == "trouble" && event.text("kind") == "module";
    eventually("the agent says that it has no module", LONG, async || fleet.log().first(trouble)).await;
    assert!(fleet.log().first(|event| event.kind() == "won").is_none());
    assert!(scene.counter.others().is_empty());
}
