//! Agents whose clocks are wrong beside agents whose clocks are right: no round begins early, every agent has its share of
//! them, and each wrong clock is spoken of once and exported.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::time::Duration;

use soloist::arbiter::tsig::Algorithm;
use soloist_tests::agents::{Event, Fleet, eventually, now_ms, scrape};
use soloist_tests::servers::{self, Kind};

/// Who takes part, and how far the clock of each is ahead, in seconds. 4 minutes are within what a TSIG's fudge lets pass; a
/// day is more than any request may be off.
const AGENTS: [(&str, i64); 6] =
    [("alto", 0), ("basso", 0), ("canto", 3600), ("dulcian", 240), ("echo", -3600), ("fife", 86_400)];

/// Those whose clock no server of that kind can set right: PowerDNS tells nobody its time who is more than 18 hours off.
fn is_beyond_help(kind: Kind, ahead: i64) -> bool {
    kind == Kind::PowerDns && ahead.unsigned_abs() > 65_535
}

const RECORD: &str = "clock.example.test";
const ROUNDS: u64 = 60;

/// How early a round may begin: within this, a clock that the arbiter cannot tell from its own may be ahead at first (a
/// second, and what an answer takes). It is reached by nobody here: every agent starts long before the first round.
const EARLY_MS: u64 = 250;

/// The demo's job, which needs no toolchain.
const HEARTBEAT: &str = include_str!("../jobs/heartbeat-wat/heartbeat.wat");

/// What makes a process's wall clock wrong, and leaves the clock alone that timers and leases go by.
fn wrong_clock(ahead: i64) -> Vec<(&'static str, String)> {
    if ahead == 0 {
        return Vec::new();
    }
    vec![
        ("LD_PRELOAD", library().to_str().unwrap().to_owned()),
        ("FAKETIME", format!("{ahead:+}s")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

/// Debian keeps it beside the libraries of the machine's kind.
fn library() -> PathBuf {
    let kinds = std::fs::read_dir("/usr/lib").unwrap();
    let mut found = kinds.map(|kind| kind.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    found.find(|path| path.is_file()).expect("`faketime` is installed")
}

async fn wrong_clocks_do_no_harm(kind: Kind) {
    let server = servers::start(kind, Algorithm::HmacSha256).await.unwrap();
    let mut fleet = Fleet::new(
        server.address(),
        server.key(),
        &format!(
            "[agent]\nreread = \"1s\"\nmetrics = \"127.0.0.1:0\"\n\n\
             [job.clock]\nrecord = \"{RECORD}\"\nevery = \"1s\"\nmodule = \"job.wat\"\ntimeout = \"5s\"\n"
        ),
    );
    // It works for a millisecond.
    std::fs::write(fleet.path("job.wat"), HEARTBEAT.replace("2_000_000_000", "1_000_000")).unwrap();
    // Not yet: the right ones wait for an hour, and one that went by its own clock would not.
    fleet.due_at(RECORD, now_ms() / 1000 + 3600).await;
    for (agent, ahead) in AGENTS {
        fleet.start_with(agent, &wrong_clock(ahead));
    }
    fleet.all_loaded(&AGENTS.map(|(agent, _)| agent)).await;
    let first = now_ms() / 1000 + 3;
    assert!(won(&fleet).is_empty(), "a round was run an hour early: {:?}", won(&fleet));
    fleet.due_at(RECORD, first).await;
    let last = first + ROUNDS - 1;
    eventually("the last round is won", Duration::from_secs(ROUNDS + 60), async || {
        won(&fleet).iter().any(|event| event.number("round") >= last).then_some(())
    })
    .await;

    let won = won(&fleet);
    let shares: Vec<(&str, usize)> =
        AGENTS.map(|(agent, _)| (agent, won.iter().filter(|event| event.agent == agent).count())).to_vec();
    let earliest = won.iter().map(lateness_ms).min().unwrap();
    summary(kind, &shares, earliest, won.len());
    assert!(earliest >= -i64::try_from(EARLY_MS).unwrap(), "a round began {earliest} ms after its due time");
    let mut rounds: Vec<u64> = won.iter().map(|event| event.number("round")).collect();
    rounds.sort_unstable();
    let all = rounds.len();
    rounds.dedup();
    assert_eq!(rounds.len(), all, "a round was won twice");
    assert_eq!(rounds[0], first, "the first round is the first one");
    // A machine that stands still for a second may skip a round, not more.
    assert!(rounds.len() as u64 + 5 > last - first, "of {ROUNDS} rounds {} were run", rounds.len());
    for ((agent, share), (_, ahead)) in shares.iter().zip(AGENTS) {
        assert_eq!(*share == 0, is_beyond_help(kind, ahead), "`{agent}` won {share} rounds: {shares:?}");
    }
    for (agent, ahead) in AGENTS.into_iter().filter(|(_, ahead)| !is_beyond_help(kind, *ahead)) {
        check_what_is_said(&fleet, agent, ahead).await;
    }
}

fn won(fleet: &Fleet) -> Vec<Event> {
    fleet.log().all(|event| event.kind() == "won" && event.number("attempt") == 1)
}

/// How long after its due time we heard that a round was won.
fn lateness_ms(event: &Event) -> i64 {
    event.at_ms.cast_signed() - (event.number("round") * 1000).cast_signed()
}

async fn check_what_is_said(fleet: &Fleet, agent: &str, ahead: i64) {
    let said = fleet.log().all(|event| event.agent == agent && event.kind() == "skew");
    assert_eq!(said.len(), usize::from(ahead != 0), "`{agent}`, which is {ahead} s ahead, said {said:?}");
    if let Some(event) = said.first() {
        let ms = event.said["ahead_ms"].as_i64().unwrap();
        assert!(ms.abs_diff(ahead * 1000) <= event.number("within_ms") + 20, "{event:?}");
        assert!(event.text("message").contains("NTP"), "{event:?}");
    }
    let lines = scrape(fleet, agent).await;
    let skew = lines.iter().find(|line| line.starts_with("soloist_clock_skew_seconds{arbiter=\"127.0.0.1:"));
    let skew: f64 = skew.and_then(|line| line.rsplit(' ').next()).expect("the skew is exported").parse().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a day in seconds is small")]
    let off = (skew - ahead as f64).abs();
    assert!(off < 0.6, "`{agent}` exports a skew of {skew} s, and its clock is {ahead} s ahead");
}

#[expect(clippy::print_stdout, reason = "what a reader of the test's output wants to know")]
fn summary(kind: Kind, shares: &[(&str, usize)], earliest: i64, rounds: usize) {
    let shares: Vec<String> = shares
        .iter()
        .zip(AGENTS)
        .map(|((agent, share), (_, ahead))| format!("{agent} ({ahead:+} s) {share}"))
        .collect();
    println!("{kind:?}: {rounds} rounds, the earliest {earliest} ms after its due time; won by {}", shares.join(", "));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs faketime; tests/run installs it"]
async fn agents_with_wrong_clocks_do_no_harm_over_the_embedded_server() {
    wrong_clocks_do_no_harm(Kind::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs BIND 9 and faketime; tests/run installs both"]
async fn agents_with_wrong_clocks_do_no_harm_over_bind() {
    wrong_clocks_do_no_harm(Kind::Bind).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Knot and faketime; tests/run installs both"]
async fn agents_with_wrong_clocks_do_no_harm_over_knot() {
    wrong_clocks_do_no_harm(Kind::Knot).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PowerDNS and faketime; tests/run installs both"]
async fn agents_with_wrong_clocks_do_no_harm_over_powerdns() {
    wrong_clocks_do_no_harm(Kind::PowerDns).await;
}
