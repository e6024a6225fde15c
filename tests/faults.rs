//! Agents that are killed, frozen and stopped in the middle of a run: the round is run all the same, and by one at a time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use soloist::arbiter::Arbiter as _;
use soloist::round::{Fence, Outcome, Record, Replaced, State};
use soloist_tests::agents::{Event, Fleet, eventually, now_ms, until_ms};
use soloist_tests::counter::Call;
use soloist_tests::scene::{self, Scene, record};

const AGENTS: [&str; 3] = ["alto", "basso", "canto"];

/// How long something may take that takes a few seconds: far longer.
const LONG: Duration = Duration::from_secs(30);

/// A job that is due once, when the test says so.
const ONCE: &str = "every = \"300days\"";

/// Whether a call is the beginning of this attempt, of whatever round.
fn begins(attempt: u32) -> impl Fn(&Call) -> bool {
    move |call| call.phase == "start" && call.fence.attempt == attempt
}

/// Starts the agents, and makes the round due when they are ready. They look at the record every second (`reread`).
async fn begin(fleet: &mut Fleet, job: &str) -> u64 {
    fleet.due_at(&record(job), now_ms() / 1000 + 3600).await;
    fleet.start_all(&AGENTS).await;
    let due = now_ms() / 1000 + 2;
    fleet.due_at(&record(job), due).await;
    due
}

/// Waits until a call comes, and gives it.
async fn call(scene: &Scene, what: &str, is_it: impl Fn(&Call) -> bool) -> Call {
    eventually(what, LONG, async || scene.counter.first(&is_it)).await
}

/// Waits until this attempt's end is in the record, and gives the record.
async fn finished(fleet: &Fleet, job: &str, fence: Fence) -> Record {
    eventually(&format!("the record tells of the end of {fence}"), LONG, async || {
        let (_, record) = fleet.read(&record(job)).await;
        (record.fence == Some(fence) && record.state == State::Idle).then_some(record)
    })
    .await
}

fn is_by(record: &Record, agent: &str) -> bool {
    record.id.rsplit_once('-').is_some_and(|(name, _)| name == agent)
}

fn phases(calls: &[Call], fence: Fence, phase: &str) -> usize {
    calls.iter().filter(|call| call.fence == fence && call.phase == phase).count()
}

#[expect(clippy::print_stdout, reason = "what a reader of the test's output wants to know")]
fn tell(figure: &str) {
    println!("{figure}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn a_killed_agents_round_is_run_by_another_within_the_lease_and_a_second() {
    const LEASE_MS: u64 = 3000;
    let scene = Scene::new().await;
    let job = format!("{ONCE}\ntimeout = \"10s\"\nlease = \"{LEASE_MS}ms\"");
    // They sleep until something is due by the record, and do not look at it every second.
    let tables = scene.job("long", &job, "mode = \"sleep\"\nseconds = 5\nevery-ms = 200");
    let mut fleet = scene.fleet(&tables);
    let due = now_ms() / 1000 + 6;
    fleet.due_at(&record("long"), due).await;
    fleet.start_all(&AGENTS).await;
    let first = call(&scene, "the round is run", begins(1)).await;
    assert_eq!(first.fence.round, due);
    until_ms(first.at_ms + 1000).await;
    let (held, claim) = fleet.read(&record("long")).await;
    assert!(is_by(&claim, &first.agent) && claim.state == State::Running, "{claim:?}");

    fleet.kill(&first.agent);
    let killed_ms = now_ms();
    let again = Fence { round: due, attempt: 2 };
    let second = call(&scene, "another agent takes the round over", begins(2)).await;
    assert_eq!(second.fence, again);
    assert_ne!(second.agent, first.agent);
    let after = second.at_ms - killed_ms;
    tell(&format!(
        "taken over {after} ms after the kill, {} ms after the claim's run began; the lease is {LEASE_MS} ms",
        second.at_ms - first.at_ms
    ));
    assert!(after <= LEASE_MS + 1000, "it took {after} ms with a lease of {LEASE_MS} ms");

    // What the killed one would have written, had it lived on: its completion, and a renewal.
    let arbiter = fleet.arbiter(&record("long"));
    let end = Record { state: State::Idle, timer: due + 86_400, outcome: Some(Outcome::Ok), ..claim.clone() };
    let renewal = Record { timer: claim.timer + 3, ..claim };
    for late in [end, renewal] {
        assert_eq!(arbiter.replace(&held.revision, &late.encode()).await.unwrap(), Replaced::Conflict, "{late:?}");
    }

    let record = finished(&fleet, "long", again).await;
    assert!(is_by(&record, &second.agent) && record.outcome == Some(Outcome::Ok), "{record:?}");
    let calls = scene.counter.calls();
    assert_eq!((phases(&calls, first.fence, "end"), phases(&calls, again, "end")), (0, 1));
    assert!(calls.iter().all(|call| call.fence.attempt <= 2));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn a_frozen_winner_does_nothing_more_for_a_round_that_it_lost() {
    let scene = Scene::new().await;
    let job = format!("{ONCE}\ntimeout = \"10s\"\nlease = \"2s\"");
    let tables = scene.job("long", &job, "mode = \"sleep\"\nseconds = 3\nevery-ms = 100");
    let mut fleet = scene.fleet(&(tables + "[agent]\nreread = \"1s\"\n"));
    let due = begin(&mut fleet, "long").await;
    let first = call(&scene, "the run calls", |call| call.phase == "alive").await;
    fleet.freeze(&first.agent);
    let frozen_ms = now_ms();

    let again = Fence { round: due, attempt: 2 };
    let second = call(&scene, "another agent takes the round over", begins(2)).await;
    assert_eq!(second.fence, again);
    assert_ne!(second.agent, first.agent);
    fleet.thaw(&first.agent);
    let stopped = |event: &Event| {
        event.agent == first.agent && matches!(event.kind(), "halted" | "superseded") && event.fence() == first.fence
    };
    eventually("the frozen one stops its run", LONG, async || fleet.log().first(stopped)).await;

    let record = finished(&fleet, "long", again).await;
    assert!(is_by(&record, &second.agent) && record.outcome == Some(Outcome::Ok), "{record:?}");
    let calls = scene.counter.calls();
    let late = calls.iter().filter(|call| call.fence == first.fence && call.at_ms > frozen_ms);
    assert_eq!(late.count(), 0, "no call for the lost attempt once it was frozen");
    assert_eq!(phases(&calls, again, "end"), 1);
    // It is not the end of that agent.
    for agent in AGENTS.iter().filter(|agent| **agent != first.agent) {
        fleet.kill(agent);
    }
    let due = now_ms() / 1000 + 1;
    fleet.due_at(&scene::record("long"), due).await;
    let third = call(&scene, "the one that was frozen runs a round", |call| call.fence.round >= due).await;
    assert_eq!(third.agent, first.agent);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn a_run_longer_than_its_lease_keeps_its_round_by_renewing() {
    let scene = Scene::new().await;
    let job = format!("{ONCE}\ntimeout = \"20s\"\nlease = \"2s\"");
    let tables = scene.job("long", &job, "mode = \"sleep\"\nseconds = 6");
    let mut fleet = scene.fleet(&(tables + "[agent]\nreread = \"1s\"\n"));
    let due = begin(&mut fleet, "long").await;
    let fence = Fence { round: due, attempt: 1 };
    let record = finished(&fleet, "long", fence).await;
    assert_eq!(record.outcome, Some(Outcome::Ok));
    let calls: Vec<String> =
        scene.counter.calls().into_iter().map(|call| format!("{} {}", call.fence, call.phase)).collect();
    assert_eq!(calls, [format!("{due}/1 start"), format!("{due}/1 end")]);
    let renewals = fleet.log().all(|event| event.kind() == "renewed").len();
    assert!(renewals >= 3, "{renewals} renewals");
    assert_eq!(fleet.log().all(|event| event.kind() == "won").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn an_agent_that_is_asked_to_stop_finishes_its_run() {
    let scene = Scene::new().await;
    let tables = scene.job("long", &format!("{ONCE}\ntimeout = \"30s\""), "mode = \"sleep\"\nseconds = 2");
    let mut fleet = scene.fleet(&(tables + "[agent]\nreread = \"1s\"\ngrace = \"20s\"\n"));
    begin(&mut fleet, "long").await;
    let first = call(&scene, "the round is run", begins(1)).await;
    fleet.terminate(&first.agent);
    assert!(fleet.ended(&first.agent).await.success());
    let calls = scene.counter.calls();
    assert_eq!((calls.len(), phases(&calls, first.fence, "end")), (2, 1), "{calls:?}");
    let (_, record) = fleet.read(&record("long")).await;
    assert!(is_by(&record, &first.agent), "{record:?}");
    assert_eq!((record.state, record.outcome, record.fence), (State::Idle, Some(Outcome::Ok), Some(first.fence)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn an_agent_that_cannot_finish_in_time_gives_the_round_to_another_at_once() {
    let scene = Scene::new().await;
    // The lease is 35 s.
    let tables =
        scene.job("long", &format!("{ONCE}\ntimeout = \"30s\""), "mode = \"sleep\"\nseconds = 4\nevery-ms = 100");
    let mut fleet = scene.fleet(&(tables + "[agent]\nreread = \"1s\"\ngrace = \"1s\"\n"));
    let due = begin(&mut fleet, "long").await;
    let first = call(&scene, "the round is run", begins(1)).await;
    let asked_ms = now_ms();
    fleet.terminate(&first.agent);
    let second = call(&scene, "another agent takes the round", begins(2)).await;
    let after = second.at_ms - asked_ms;
    assert!(after < 5000, "grace and a look at the record are 2 s, the lease is 35 s, and it took {after} ms");
    assert!(fleet.ended(&first.agent).await.success());
    let again = Fence { round: due, attempt: 2 };
    assert_eq!(finished(&fleet, "long", again).await.outcome, Some(Outcome::Ok));
    let calls = scene.counter.calls();
    assert_eq!((phases(&calls, first.fence, "end"), phases(&calls, again, "end")), (0, 1));
    let last_of_first = calls.iter().rfind(|call| call.fence == first.fence).unwrap();
    assert!(last_of_first.at_ms <= second.at_ms, "the two runs do not overlap");
}
