//! A job's state, with real agents that are killed in their runs: no update is lost, and a run that did not come to its end
//! changes nothing. And a fleet that runs one module, and moves to another one when it is told to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use soloist::arbiter::tsig::Algorithm;
use soloist::module::Digest;
use soloist::round::Fence;
use soloist_tests::agents::{Event, Fleet, eventually, now_ms};
use soloist_tests::binary::soloist;
use soloist_tests::calls::{Import, component, summary};
use soloist_tests::heartbeat;
use soloist_tests::servers::{self, Kind};

const RECORD: &str = "count.example.test";

/// How long something may take that takes a few seconds: far longer.
const LONG: Duration = Duration::from_secs(90);

/// The interface, and what the body calls.
const STATE: Import = Import {
    interface: "soloist:job/state@0.1.0",
    text: r#"(type $error-type (variant (case "too-large" u32)))
             (export "error" (type $error (eq $error-type)))
             (export "get" (func (result (option string))))
             (export "set" (func (param "value" (option string)) (result (result (error $error)))))"#,
    functions: &[("get", "(param i32)"), ("set", "(param i32 i32 i32 i32)")],
};

/// Counts with one `x` a run, and takes its time between reading and setting.
fn counting() -> String {
    let body = format!(
        "(call $get (i32.const 3000))
         (if (i32.load8_u (i32.const 3000)) (then
           (local.set $a (i32.load (i32.const 3008)))
           (memory.copy (i32.const 20000) (i32.load (i32.const 3004)) (local.get $a))))
         (i32.store8 (i32.add (i32.const 20000) (local.get $a)) (i32.const 120))
         (local.set $a (i32.add (local.get $a) (i32.const 1)))
         (loop $work
           (local.set $t (i64.add (local.get $t) (i64.const 1)))
           (br_if $work (i64.lt_u (local.get $t) (i64.const 300000000))))
         (call $set (i32.const 1) (i32.const 20000) (local.get $a) (i32.const 3100))
         {}",
        summary("(i32.const 20000)", "(local.get $a)")
    );
    component(&[STATE], "", &body)
}

fn finished_well(event: &Event) -> bool {
    event.kind() == "finished" && event.text("outcome") == "ok"
}

/// The length of the text that each run which ended well left, by its fence.
fn lengths(fleet: &Fleet) -> BTreeMap<Fence, usize> {
    let finished: Vec<Fence> = fleet.log().all(finished_well).iter().map(Event::fence).collect();
    let ran = fleet.log().all(|event| event.kind() == "ran" && finished.contains(&event.fence()));
    ran.iter().map(|event| (event.fence(), event.text("summary").len())).collect()
}

async fn counts_right_at(kind: Kind) {
    const KILLS: usize = 4;
    const AGENTS: [&str; 3] = ["alto", "basso", "canto"];
    let server = servers::start(kind, Algorithm::HmacSha256).await.unwrap();
    let mut fleet = Fleet::new(
        server.address(),
        server.key(),
        &format!(
            "[agent]\nreread = \"1s\"\n[job.count]\nrecord = \"{RECORD}\"\nevery = \"1s\"\nlease = \"3s\"\nattempts = 9\n\
             module = \"job.wat\"\n"
        ),
    );
    std::fs::write(fleet.path("job.wat"), counting()).unwrap();
    fleet.start_all(&AGENTS).await;
    for kill in 0..KILLS {
        let before = fleet.log().all(finished_well).len();
        eventually("two rounds are done", LONG, async || {
            (fleet.log().all(finished_well).len() >= before + 2).then_some(())
        })
        .await;
        // Whoever wins the next round is killed in it.
        let won = fleet.log().all(|event| event.kind() == "won").len();
        let winner = eventually("a round is won", LONG, async || {
            fleet.log().all(|event| event.kind() == "won").get(won).map(|event| event.agent.clone())
        })
        .await;
        fleet.kill(&winner);
        fleet.start(&winner);
        assert!(kill < KILLS);
    }
    let before = fleet.log().all(finished_well).len();
    eventually("two rounds are done", LONG, async || {
        (fleet.log().all(finished_well).len() >= before + 2).then_some(())
    })
    .await;
    for agent in AGENTS {
        fleet.terminate(agent);
    }
    for agent in AGENTS {
        assert!(fleet.ended(agent).await.success());
    }

    let lengths = lengths(&fleet);
    let (_, record) = fleet.read(RECORD).await;
    let count = record.data.map_or(0, |data| data.as_str().len());
    let told = lengths.len();
    // An agent that was killed may have written the end of its run and not have said so.
    assert!((told..=told + KILLS).contains(&count), "{count} were counted, and {told} ended well: {lengths:?}");
    let all: Vec<usize> = lengths.values().copied().collect();
    assert!(all.is_sorted_by(|one, next| one < next), "an update was lost: {lengths:?}");
    assert!(all.len() >= 2 * KILLS);
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_are_killed_lose_no_update() {
    counts_right_at(Kind::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs BIND"]
async fn agents_that_are_killed_lose_no_update_at_bind() {
    counts_right_at(Kind::Bind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_moves_to_another_module_when_it_is_told_to() {
    let server = servers::start(Kind::Embedded, Algorithm::HmacSha256).await.unwrap();
    let tables = format!(
        "[agent]\nreread = \"1s\"\n[job.count]\nrecord = \"{RECORD}\"\nevery = \"1s\"\nrequire-same-module = true\n\
         module = \"job.wat\"\n"
    );
    // Two directories, and a module in each.
    let mut fleets = [0, 1].map(|_| Fleet::new(server.address(), server.key(), &tables));
    let modules = [1, 2].map(|ms| heartbeat::working(Duration::from_millis(ms)));
    let digests = modules.each_ref().map(|module| Digest::of(module.as_bytes()).short());
    for (fleet, module) in fleets.iter().zip(&modules) {
        std::fs::write(fleet.path("job.wat"), module).unwrap();
    }
    fleets[0].due_at(RECORD, now_ms() / 1000).await;
    let done = |fleet: &Fleet| fleet.log().all(finished_well).len();
    let [old, new] = &mut fleets;
    old.start_all(&["alto"]).await;
    eventually("two rounds are done", LONG, async || (done(old) >= 2).then_some(())).await;
    new.start_all(&["basso"]).await;
    let waits = |fleet: &Fleet| fleet.log().all(|event| event.kind() == "other-module");
    let told = eventually("the other one waits", LONG, async || waits(new).pop()).await;
    assert_eq!((told.text("held"), told.text("wanted")), (digests[1].as_str(), digests[0].as_str()));
    let before = done(old);
    eventually("the first one goes on", LONG, async || (done(old) >= before + 3).then_some(())).await;
    assert_eq!((done(new), waits(new).len()), (0, 1), "it waits, and says so once");

    let output = Command::new(soloist())
        .args(["module", "count"])
        .arg(new.path("job.wat"))
        .arg("--config")
        .arg(new.path("soloist.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    eventually("the other one plays", LONG, async || (done(new) >= 3).then_some(())).await;
    let told = eventually("the first one waits", LONG, async || waits(old).pop()).await;
    assert_eq!(told.text("wanted"), digests[1]);
    let rounds = |fleet: &Fleet| fleet.log().all(finished_well).iter().map(|event| event.number("round")).collect();
    let (of_old, of_new): (Vec<u64>, Vec<u64>) = (rounds(old), rounds(new));
    assert!(of_old.last() < of_new.first(), "both ran at a time: {of_old:?}, {of_new:?}");
    let (_, record) = new.read(RECORD).await;
    assert_eq!((record.wanted(), record.module.as_ref()), (Some(digests[1].as_str()), Some(&digests[1])));
}
