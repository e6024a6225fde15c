//! The module is swapped under load, well and badly, in every way that a file is changed: no round is lost, every good
//! version runs, and no bad one does.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::time::Duration;

use soloist_tests::agents::{Event, Fleet, eventually, now_ms};
use soloist_tests::counter::Tally;
use soloist_tests::probe;
use soloist_tests::scene::{Scene, record};

const AGENTS: [&str; 3] = ["alto", "basso", "canto"];
const SWAPS: u32 = 20;

/// How long a swap may take with every core busy compiling: far longer than it does.
const LONG: Duration = Duration::from_secs(30);

/// Puts a module in the place of the one before.
fn put(fleet: &Fleet, swap: u32, bytes: &[u8]) {
    let (path, new) = (fleet.path("probe.wasm"), fleet.path("new"));
    match swap % 3 {
        // A file is renamed over it.
        0 => {
            fs::write(&new, bytes).unwrap();
            fs::rename(new, path).unwrap();
        }
        // A symbolic link to another file is.
        1 => {
            let version = format!("version-{swap}.wasm");
            fs::write(fleet.path(&version), bytes).unwrap();
            symlink(version, &new).unwrap();
            fs::rename(new, path).unwrap();
        }
        // It is truncated and written, with a pause in the middle.
        _ => {
            let mut file = File::create(path).unwrap();
            file.write_all(&bytes[..bytes.len() / 2]).unwrap();
            std::thread::sleep(Duration::from_millis(30));
            file.write_all(&bytes[bytes.len() / 2..]).unwrap();
        }
    }
}

/// Something that is no module that could run, each time another.
fn broken(swap: u32) -> Vec<u8> {
    match swap {
        3 => Vec::new(),
        7 => b"this is no module".to_vec(),
        11 => probe::version(0)[..50_000].to_vec(),
        15 => b"(component)".to_vec(),
        _ => b"(module)".to_vec(),
    }
}

/// Waits until each agent has said this once more than `before` times.
async fn each_says(fleet: &Fleet, kind: &str, before: usize) {
    for agent in AGENTS {
        let said = |event: &Event| event.agent == agent && event.kind() == kind;
        eventually(&format!("`{agent}` says `{kind}` {} times", before + 1), LONG, async || {
            (fleet.log().all(said).len() > before).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn twenty_swaps_lose_no_round_and_every_good_version_runs() {
    let scene = Scene::new().await;
    let tables = scene.job("count", "every = \"1s\"\ntimeout = \"5s\"", "mode = \"report\"");
    let mut fleet = scene.fleet(&tables);
    fleet.due_at(&record("count"), now_ms() / 1000 + 3600).await;
    fleet.start_all(&AGENTS).await;
    let first = now_ms() / 1000 + 2;
    fleet.due_at(&record("count"), first).await;
    eventually("the first round is run", LONG, async || scene.counter.first(|_| true)).await;

    let (mut good, mut bad) = (vec!["000000".to_owned()], 0);
    for swap in 0..SWAPS {
        if swap % 4 == 3 {
            put(&fleet, swap, &broken(swap));
            each_says(&fleet, "refused", bad).await;
            bad += 1;
            // The good one stays: a round that is due only now is run.
            let next = now_ms() / 1000 + 1;
            eventually("a round is run", LONG, async || scene.counter.first(|call| call.fence.round >= next)).await;
        } else {
            put(&fleet, swap, &probe::version(swap + 1));
            each_says(&fleet, "swapped", good.len()).await;
            let version = format!("{:06}", swap + 1);
            eventually(&format!("version {version} runs"), LONG, async || {
                scene.counter.first(|call| call.version == version)
            })
            .await;
            good.push(version);
        }
    }

    let calls = scene.counter.calls();
    let last = calls.last().unwrap().fence.round;
    let tally = Tally::of(&calls, first..last + 1, 1);
    assert_eq!((&tally.twice, &tally.missing, &tally.retried), (&vec![], &vec![], &vec![]), "{} rounds", tally.rounds);
    let seen: BTreeSet<&String> = calls.iter().map(|call| &call.version).collect();
    assert_eq!(seen, good.iter().collect(), "each good version");
    for agent in AGENTS {
        // Each for itself: while one still loads the new version, another runs it already.
        let versions: Vec<&String> =
            calls.iter().filter(|call| call.agent == agent).map(|call| &call.version).collect();
        assert!(versions.is_sorted(), "`{agent}` went back to a version before: {versions:?}");
    }
    let times = |kind: &str| fleet.log().all(|event| event.kind() == kind).len();
    assert_eq!((times("swapped"), times("refused")), (AGENTS.len() * good.len(), AGENTS.len() * bad));
    assert!(fleet.log().all(|event| event.kind() == "refused" && event.text("reason").is_empty()).is_empty());
}
