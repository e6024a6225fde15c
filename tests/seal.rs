//! Sealed records and agents in earnest: a signed record is read by anybody and changed by nobody, an encrypted one shows nothing,
//! and keys are replaced while rounds go on.
#![cfg(unix)]

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use soloist::arbiter::tsig::Algorithm;
use soloist::round::{Form, KEY_BYTES, Seal, SealKey};
use soloist_tests::agents::{Event, Fleet, eventually, now_ms, until_ms};
use soloist_tests::binary::soloist;
use soloist_tests::hand::{Hand, name};
use soloist_tests::servers::{self, Kind, TestServer};

const AGENTS: [&str; 3] = ["alto", "basso", "canto"];
const RECORD: &str = "sealed.example.test";
const HEARTBEAT: &str = include_str!("../jobs/heartbeat-wat/heartbeat.wat");

/// How long something may take that takes a few seconds: far longer.
const LONG: Duration = Duration::from_secs(60);

/// A server, agents that are not yet started, and two keys in their directory: `old.key` and `new.key`.
struct Stage {
    server: Box<dyn TestServer>,
    fleet: Fleet,
    every: u64,
}

impl Stage {
    async fn new(kind: Kind, every: u64, seal: &str) -> Self {
        let server = servers::start(kind, Algorithm::HmacSha256).await.expect("the server starts");
        let tables = format!(
            "[seal]\n{seal}\n\n[job.sealed]\nrecord = \"{RECORD}\"\nevery = \"{every}s\"\ntimeout = \"5s\"\nmodule = \"job.wat\"\n"
        );
        let fleet = Fleet::new(server.address(), server.key(), &tables);
        // It works for no time.
        std::fs::write(fleet.path("job.wat"), HEARTBEAT.replace("2_000_000_000", "1_000_000")).expect("the module");
        for (file, byte) in [("old.key", 0xab), ("new.key", 0xcd)] {
            std::fs::write(fleet.path(file), SealKey::text(&[byte; KEY_BYTES]).as_str()).expect("the key");
        }
        Self { server, fleet, every }
    }

    fn hand(&self) -> Hand {
        self.server.hand()
    }

    /// The one value at the record.
    async fn value(&self) -> String {
        let records = self.hand().txt(&name(RECORD)).await.expect("the server answers");
        assert_eq!(records.len(), 1, "{records:?}");
        String::from_utf8(records[0].txt_data.concat()).expect("it is text")
    }

    /// Puts a value there, whatever stood there before.
    async fn put(&self, value: &str) {
        let strings: Vec<&[u8]> = value.as_bytes().chunks(255).collect();
        self.hand().overwrite_txt(&name(RECORD), &[&strings]).await.expect("the server takes it");
    }

    /// Says something else of the seal, for the agents that are started from now on.
    fn configure(&self, seal: &str) {
        let text = std::fs::read_to_string(self.fleet.config()).expect("the configuration");
        let (before, rest) = text.split_once("[seal]\n").expect("there is a seal");
        let (_, after) = rest.split_once("\n\n").expect("an empty line ends it");
        self.fleet.configure_as(&format!("{before}[seal]\n{seal}\n\n{after}"));
    }

    fn rounds(&self) -> Vec<u64> {
        let finished = self.fleet.log().all(|event| event.kind() == "finished" && event.text("outcome") == "ok");
        finished.iter().map(|event| event.number("round")).collect()
    }

    /// Waits until so many more rounds are done.
    async fn more_rounds(&self, count: usize) {
        let before = self.rounds().len();
        let enough = async || (self.rounds().len() >= before + count).then_some(());
        eventually("more rounds are done", LONG, enough).await;
    }

    /// Waits until each agent has said that the record cannot be acted on, for this reason.
    async fn each_complains(&self, reason: &str) {
        for agent in AGENTS {
            let says = |event: &Event| event.agent == agent && is_trouble(event, reason);
            eventually(&format!("`{agent}` says: {reason}"), LONG, async || self.fleet.log().first(says)).await;
        }
    }

    /// Nothing is run or written for three rounds, and the error was said once by each.
    async fn all_stand_still(&self, reason: &str) {
        let (value, won) = (self.value().await, self.won());
        until_ms(now_ms() + 3 * self.every * 1000).await;
        assert_eq!(self.value().await, value, "nothing is overwritten");
        assert_eq!(self.won(), won, "nobody runs");
        for agent in AGENTS {
            let said = self.fleet.log().all(|event| event.agent == agent && is_trouble(event, reason));
            assert_eq!(said.len(), 1, "one clear error: {said:?}");
        }
    }

    fn won(&self) -> usize {
        self.fleet.log().all(|event| event.kind() == "won").len()
    }

    /// Runs the program in the agents' directory.
    fn soloist(&self, arguments: &[&str]) -> Output {
        let output =
            Command::new(soloist()).args(arguments).current_dir(self.fleet.home()).output().expect("it starts");
        let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        assert!(!said.iter().any(|text| shows_a_key(text)), "{said:?}");
        output
    }

    /// What `status` says, and its exit code.
    fn status(&self, arguments: &[&str]) -> (Value, Option<i32>) {
        let server = self.server.address().to_string();
        let output = self.soloist(&[&["status", "--json", "--server", &server], arguments].concat());
        let json = serde_json::from_slice(&output.stdout).expect("JSON");
        (json, output.status.code())
    }

    /// No agent has said anything of a key.
    fn is_discreet(&self) {
        let lines = self.fleet.log().all(|_| true);
        assert!(!lines.is_empty());
        for line in lines {
            assert!(!shows_a_key(&line.said.to_string()), "a key is in the log: {}", line.said);
        }
    }
}

fn is_trouble(event: &Event, reason: &str) -> bool {
    event.kind() == "trouble" && event.text("message").contains(reason)
}

/// As a key's text, bytes, or base64 of either alphabet.
fn shows_a_key(text: &str) -> bool {
    ["soloist-seal-1.", "q6urq6ur", "zc3Nzc3N", "abababab", "cdcdcdcd", "171, 171", "205, 205"]
        .iter()
        .any(|piece| text.contains(piece))
}

fn key(byte: u8) -> SealKey {
    SealKey::new(&[byte; KEY_BYTES])
}

async fn a_signed_job_runs_until_a_hand_changes_its_record(kind: Kind) {
    let mut stage = Stage::new(kind, 1, "kind = \"sign\"\nkeys = [{ file = \"old.key\" }]").await;
    stage.fleet.start_all(&AGENTS).await;
    stage.more_rounds(3).await;
    // As `dig` or any other program reads it.
    let value = stage.value().await;
    let seen: Value = serde_json::from_str(&value).expect("it is JSON");
    let fields: Vec<&str> = seen.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!((fields[0], fields[1], fields[2], fields.last()), ("id", "timer", "timerold", Some(&"h")));
    assert!(seen["h"].as_str().is_some_and(|seal| seal.starts_with(key(0xab).id())), "{seen}");
    let (status, code) = stage.status(&["sealed"]);
    assert_eq!((status["seal"]["kind"].as_str(), status["problem"].as_str(), code), (Some("sign"), None, Some(0)));

    // A timer that is over would make everybody run.
    let edited = value.replacen(&format!("\"timer\":{}", seen["timer"]), "\"timer\":1600000000", 1);
    assert_ne!(edited, value);
    stage.put(&edited).await;
    stage.each_complains("the seal is broken").await;
    stage.all_stand_still("the seal is broken").await;
    let (status, code) = stage.status(&["sealed"]);
    assert!(status["problem"].as_str().is_some_and(|problem| problem.contains("the seal is broken")), "{status}");
    assert_eq!(code, Some(2));

    assert!(stage.soloist(&["init", "sealed", "--repair", "--yes"]).status.success());
    stage.more_rounds(2).await;
    stage.is_discreet();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_job_runs_until_a_hand_changes_its_record_over_the_embedded_server() {
    a_signed_job_runs_until_a_hand_changes_its_record(Kind::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs BIND 9; tests/run installs it"]
async fn a_signed_job_runs_until_a_hand_changes_its_record_over_bind() {
    a_signed_job_runs_until_a_hand_changes_its_record(Kind::Bind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_put_back_or_has_no_seal_stops_everybody_until_it_is_written_anew() {
    let mut stage = Stage::new(Kind::Embedded, 1, "kind = \"sign\"\nkeys = [{ file = \"old.key\" }]").await;
    stage.fleet.start_all(&AGENTS).await;
    stage.more_rounds(1).await;
    let old = stage.value().await;
    stage.more_rounds(3).await;
    stage.put(&old).await;
    stage.each_complains("put back").await;
    stage.all_stand_still("put back").await;
    // An operator who put it back on purpose says so.
    let resealed = stage.soloist(&["init", "sealed", "--reseal"]);
    assert!(resealed.status.success(), "{}", String::from_utf8_lossy(&resealed.stderr));
    stage.more_rounds(2).await;

    stage.put(&format!("{{\"id\":\"a-hand\",\"timer\":{},\"timerold\":0}}", now_ms() / 1000)).await;
    stage.each_complains("is not sealed").await;
    stage.all_stand_still("is not sealed").await;
    stage.is_discreet();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_record_shows_nothing_without_its_key() {
    let mut stage = Stage::new(Kind::Embedded, 1, "kind = \"encrypt\"\nkeys = [{ file = \"old.key\" }]").await;
    stage.fleet.start_all(&AGENTS).await;
    stage.more_rounds(3).await;
    let value = stage.value().await;
    let (start, rest) = value.split_at("soloist1:01234567.".len());
    assert_eq!(start, format!("soloist1:{}.", key(0xab).id()));
    assert_eq!(rest.len(), 395, "ordinary records have one length");
    let opened = Seal::new(Some(Form::Encrypt), vec![key(0xab)], &format!("{RECORD}."), false)
        .and_then(|seal| seal.open(value.as_bytes()).ok())
        .expect("its key opens it");
    for said in [&opened.id, &opened.timer.to_string(), "timer", "alto", "basso", "canto"] {
        assert!(!rest.contains(said), "`{said}` is in {value}");
    }
    let (status, code) = stage.status(&["sealed"]);
    assert_eq!((status["condition"].as_str(), code), (Some("fine"), Some(0)));
    assert!(status["last_run"]["by"].as_str().is_some(), "{status}");

    // Without the configuration: by the record's name.
    std::fs::rename(stage.fleet.path("soloist.toml"), stage.fleet.path("aside")).expect("the configuration");
    let (status, code) = stage.status(&[RECORD]);
    assert_eq!((&status["last_run"], &status["next_due"], code), (&Value::Null, &Value::Null, Some(2)));
    assert!(status["problem"].as_str().is_some_and(|problem| problem.contains(key(0xab).id())), "{status}");
    let (status, code) = stage.status(&[RECORD, "--seal-key", "new.key"]);
    assert!(status["problem"].as_str().is_some_and(|problem| problem.contains("a key that is not there")), "{status}");
    assert_eq!(code, Some(2));
    let (status, code) = stage.status(&[RECORD, "--seal-key", "old.key"]);
    assert_eq!((status["condition"].as_str(), code), (Some("fine"), Some(0)));
    stage.is_discreet();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_another_key_or_none_stands_aside_and_the_others_go_on() {
    let mut stage = Stage::new(Kind::Embedded, 1, "kind = \"encrypt\"\nkeys = [{ file = \"old.key\" }]").await;
    stage.fleet.start_all(&AGENTS[..1]).await;
    stage.more_rounds(1).await;
    for (agent, seal, reason) in [
        ("basso", "kind = \"sign\"\nkeys = [{ file = \"new.key\" }]", "a key that is not there"),
        ("canto", "kind = \"none\"", "there is no key to open it with"),
    ] {
        stage.configure(seal);
        stage.fleet.start_all(&[agent]).await;
        let says = |event: &Event| event.agent == agent && is_trouble(event, reason);
        let said = eventually("it says why", LONG, async || stage.fleet.log().first(says)).await;
        assert!(said.text("message").contains(key(0xab).id()), "the key is named: {}", said.said);
        stage.more_rounds(2).await;
        assert_eq!(stage.fleet.log().all(|event| event.agent == agent && event.kind() == "won").len(), 0);
    }
    stage.is_discreet();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_one_agent_at_a_time_and_no_round_is_lost_or_run_twice() {
    let keys = |files: &[&str]| {
        let keys: Vec<String> = files.iter().map(|file| format!("{{ file = \"{file}\" }}")).collect();
        format!("kind = \"sign\"\nkeys = [{}]", keys.join(", "))
    };
    let mut stage = Stage::new(Kind::Embedded, 4, &keys(&["old.key"])).await;
    stage.fleet.start_all(&AGENTS).await;
    stage.more_rounds(1).await;
    for files in [&["old.key", "new.key"][..], &["new.key", "old.key"], &["new.key"]] {
        stage.configure(&keys(files));
        for agent in AGENTS {
            stage.fleet.terminate(agent);
            assert!(stage.fleet.ended(agent).await.success());
            let loaded = |event: &Event| event.agent == agent && event.kind() == "swapped";
            let before = stage.fleet.log().all(loaded).len();
            stage.fleet.start(agent);
            let again = async || (stage.fleet.log().all(loaded).len() > before).then_some(());
            eventually(&format!("`{agent}` is back"), LONG, again).await;
        }
        stage.more_rounds(1).await;
    }
    stage.more_rounds(1).await;
    let seen: Value = serde_json::from_str(&stage.value().await).expect("it is JSON");
    assert!(seen["h"].as_str().is_some_and(|seal| seal.starts_with(key(0xcd).id())), "{seen}");
    // Before the first round, a module may come later than the round does, which no key is to blame for.
    let is_about_keys = |event: &Event| event.kind() == "trouble" && event.text("kind") != "module";
    let troubles = stage.fleet.log().all(is_about_keys);
    assert!(troubles.is_empty(), "{troubles:?}");
    let rounds = stage.rounds();
    let expected: Vec<u64> = (rounds[0]..=rounds[rounds.len() - 1]).step_by(4).collect();
    assert_eq!(rounds, expected, "each round once, and none left out");
    stage.is_discreet();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_goes_over_to_a_seal_while_rounds_go_on() {
    let mut stage = Stage::new(Kind::Embedded, 2, "kind = \"none\"").await;
    stage.fleet.start_all(&AGENTS).await;
    stage.more_rounds(1).await;
    for extra in ["\naccept-unsealed = true", ""] {
        stage.configure(&format!("kind = \"sign\"\nkeys = [{{ file = \"old.key\" }}]{extra}"));
        for agent in AGENTS {
            stage.fleet.terminate(agent);
            assert!(stage.fleet.ended(agent).await.success());
            stage.fleet.start(agent);
            stage.more_rounds(1).await;
        }
    }
    assert!(stage.value().await.contains("\"h\":\""));
    let rounds = stage.rounds();
    assert!(rounds.is_sorted_by(|one, next| one < next), "no round is done twice: {rounds:?}");
    stage.is_discreet();
}
