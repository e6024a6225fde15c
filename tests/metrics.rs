//! The metrics of a real `soloist run`: what Prometheus fetches is what happened, and a port that is taken is an error at start.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::Duration;

use soloist::arbiter::tsig::Algorithm;
use soloist_tests::agents::{Fleet, eventually, now_ms, scrape};
use soloist_tests::binary::soloist;
use soloist_tests::calls::{Import, component, summary};
use soloist_tests::servers::{self, Kind, TestServer};

const RECORD: &str = "count.example.test";

/// The demo's job, which needs no toolchain.
const HEARTBEAT: &str = include_str!("../jobs/heartbeat-wat/heartbeat.wat");

fn fleet(server: &dyn TestServer, metrics: &str) -> Fleet {
    let fleet = Fleet::new(
        server.address(),
        server.key(),
        &format!(
            "[agent]\nmetrics = \"{metrics}\"\n\n[job.count]\nrecord = \"{RECORD}\"\nevery = \"1s\"\nmodule = \"job.wat\"\n"
        ),
    );
    // It works for a millisecond.
    std::fs::write(fleet.path("job.wat"), HEARTBEAT.replace("2_000_000_000", "1_000_000")).unwrap();
    fleet
}

/// The value of a series; 0 where there is none.
fn value(lines: &[String], series: &str) -> u64 {
    let line = lines.iter().find_map(|line| line.strip_prefix(series));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_what_happened() {
    let server = servers::start(Kind::Embedded, Algorithm::HmacSha256).await.unwrap();
    let mut fleet = fleet(&*server, "127.0.0.1:0");
    fleet.due_at(RECORD, now_ms() / 1000 + 3600).await;
    fleet.start_all(&["alto"]).await;
    fleet.due_at(RECORD, now_ms() / 1000).await;
    let finished = || fleet.log().all(|event| event.kind() == "finished").len() as u64;
    eventually("three rounds are run", Duration::from_secs(60), async || (finished() >= 3).then_some(())).await;
    // A round may begin or end while it answers.
    let before = finished();
    let lines = scrape(&fleet, "alto").await;
    let after = finished() + 1;
    for series in [
        "soloist_rounds_won_total{job=\"count\"}",
        "soloist_runs_total{job=\"count\",outcome=\"ok\"}",
        "soloist_late_seconds_count{job=\"count\"}",
    ] {
        let value = value(&lines, series);
        assert!((before..=after).contains(&value), "{series} is {value}, and {before} to {after} rounds were run");
    }
    // A claim and its end, and a read before each claim.
    assert!(value(&lines, "soloist_replacements_total{job=\"count\",outcome=\"applied\"}") >= before * 2);
    assert!(value(&lines, "soloist_reads_total{job=\"count\",outcome=\"ok\"}") >= before);
    assert_eq!(value(&lines, "soloist_leases_lost_total{job=\"count\"}"), 0);
    assert!(lines.iter().any(|line| line.starts_with("soloist_clock_skew_seconds{arbiter=")), "{lines:?}");
    assert!(lines.iter().any(|line| {
        line.eq_ignore_ascii_case("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8")
    }));
    assert!(!lines.iter().any(|line| line.contains(&server.key().secret_base64())), "no secret is exported");
}

/// Counts one turn each time it runs.
fn counting() -> String {
    let count = Import {
        interface: "soloist:job/metric@0.1.0",
        text: r#"(type $error-type (variant (case "invalid" string) (case "refused" string)))
                 (export "error" (type $error (eq $error-type)))
                 (export "count" (func (param "name" string) (param "by" f64)
                   (param "labels" (list (tuple string string))) (result (result (error $error)))))"#,
        functions: &[("count", "(param i32 i32 f64 i32 i32 i32)")],
    };
    let body = "(call $count (i32.const 512) (i32.const 5) (f64.const 1) (i32.const 0) (i32.const 0) (i32.const 32))";
    component(&[count], "turns", &format!("{body} {}", summary("(i32.const 512)", "(i32.const 5)")))
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::cast_precision_loss, reason = "the rounds of a test are few")]
async fn what_a_job_counts_is_exported_beside_the_agents_own() {
    let server = servers::start(Kind::Embedded, Algorithm::HmacSha256).await.unwrap();
    let mut fleet = fleet(&*server, "127.0.0.1:0");
    std::fs::write(fleet.path("job.wat"), counting()).unwrap();
    fleet.due_at(RECORD, now_ms() / 1000 + 3600).await;
    fleet.start_all(&["alto"]).await;
    let lines = scrape(&fleet, "alto").await;
    assert!(!lines.iter().any(|line| line.starts_with("soloist_job_")), "nothing has been counted yet: {lines:?}");
    fleet.due_at(RECORD, now_ms() / 1000).await;
    let finished = || fleet.log().all(|event| event.kind() == "finished").len() as u64;
    eventually("two rounds are run", Duration::from_secs(60), async || (finished() >= 2).then_some(())).await;
    let before = finished();
    let lines = scrape(&fleet, "alto").await;
    let after = finished() + 1;
    let turns = lines.iter().find_map(|line| line.strip_prefix("soloist_job_turns_total{job=\"count\"} "));
    let turns: f64 = turns.expect("the job has counted").parse().unwrap();
    assert!(turns >= before as f64 && turns <= after as f64, "{turns} turns, and {before} to {after} rounds were run");
    assert!(lines.iter().any(|line| line == "# TYPE soloist_job_turns counter"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("soloist_rounds_won_total")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_an_error_at_start() {
    let server = servers::start(Kind::Embedded, Algorithm::HmacSha256).await.unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let fleet = fleet(&*server, &address.to_string());
    let config = fleet.path("soloist.toml");
    let run = tokio::task::spawn_blocking(move || {
        Command::new(soloist()).args(["run", "--config"]).arg(config).output().unwrap()
    });
    let output = tokio::time::timeout(Duration::from_secs(60), run).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("the metrics cannot be served at `{address}`")), "{said}");
    assert!(said.contains("hint:") && said.contains("`metrics`"), "{said}");
}
