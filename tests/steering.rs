//! Real agents are paused, triggered and resumed by one write to their record.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::Duration;

use soloist::arbiter::tsig::{Algorithm, Key};
use soloist_tests::agents::{Event, Fleet, eventually, now_ms};
use soloist_tests::binary::soloist;
use soloist_tests::served::Served;

const ZONE: &str = "example.test";
const RECORD: &str = "canary.example.test";

/// How long something may take that takes a few seconds: far longer.
const LONG: Duration = Duration::from_secs(30);

/// Runs `soloist` with the fleet's configuration.
fn run(fleet: &Fleet, arguments: &[&str]) {
    let output = Command::new(soloist())
        .args(arguments)
        .arg("--config")
        .arg(fleet.path("soloist.toml"))
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn won(fleet: &Fleet) -> Vec<u64> {
    fleet.log().all(|event: &Event| event.kind() == "won").iter().map(|event| event.number("round")).collect()
}

/// Waits until more rounds than these were won.
async fn more_than(fleet: &Fleet, rounds: usize) {
    eventually(&format!("more than {rounds} rounds"), LONG, async || (won(fleet).len() > rounds).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_every_agent_a_trigger_runs_once_and_a_resumption_goes_on_with_the_schedule() {
    let key = Key::generate("soloist", Algorithm::HmacSha256).unwrap();
    let data = tempfile::tempdir().unwrap();
    let dns = Served::start(ZONE, &key, data.path());
    let tables = format!(
        "[agent]\nreread = \"1s\"\n[job.canary]\nrecord = \"{RECORD}\"\nmodule = \"heartbeat.wat\"\nevery = \"1s\"\n"
    );
    let mut fleet = Fleet::new(dns.addr, &key, &tables);
    std::fs::write(fleet.path("heartbeat.wat"), include_str!("../jobs/heartbeat-wat/heartbeat.wat")).unwrap();
    fleet.start_all(&["alto", "basso", "canto"]).await;
    more_than(&fleet, 2).await;

    run(&fleet, &["pause", "canary", "--reason", "a test"]);
    let told = |fleet: &Fleet| fleet.log().all(|event: &Event| event.kind() == "paused").len();
    eventually("every agent knows", LONG, async || (told(&fleet) == 3).then_some(())).await;
    // What was claimed before the pause has ended, and nothing begins any more.
    let paused = won(&fleet).len();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(won(&fleet).len(), paused, "no round begins during a pause");
    let (_, record) = fleet.read(RECORD).await;
    assert_eq!(record.paused.as_deref(), Some("a test"));

    run(&fleet, &["trigger", "canary"]);
    more_than(&fleet, paused).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(won(&fleet).len(), paused + 1, "a trigger is one run, and the pause stands");

    let resumed = now_ms() / 1000;
    run(&fleet, &["resume", "canary"]);
    more_than(&fleet, paused + 3).await;
    let rounds = won(&fleet);
    assert!(rounds[paused + 1] > resumed, "what was due during the pause is not made up for: {rounds:?}");
    let mut distinct = rounds.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), rounds.len(), "no round was run twice: {rounds:?}");
    assert_eq!(told(&fleet), 3, "a pause is told once by each agent");
}
