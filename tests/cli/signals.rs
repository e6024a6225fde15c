//! How an agent ends: at once where nothing is under way, in order where something is, and never because nobody reads its log.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::shell::Zone;

/// Longer than anything here takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("the process is there");
}

/// Waits for the end, and gives the exit code.
fn end(mut child: Child) -> Option<i32> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    panic!("it does not end");
}

/// An agent with a round every `every`, running until its log has a line with `text`; and the rest of its log.
fn agent(zone: &Zone, every: &str, text: &str) -> (Child, impl Iterator<Item = String> + use<>) {
    let config = std::fs::read_to_string(zone.shell.path().join("soloist.toml")).expect("the configuration");
    zone.shell.write("soloist.toml", config.replace("every = \"60s\"", &format!("every = \"{every}\"")));
    let mut child =
        zone.shell.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut log = BufReader::new(child.stderr.take().expect("stderr")).lines().map_while(Result::ok);
    assert!(log.any(|line| line.contains(text)), "the agent never said `{text}`");
    (child, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_agent_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let zone = Zone::serve().await;
        let (child, _log) = agent(&zone, "1h", "is loaded");
        send(&child, signal);
        let begun = Instant::now();
        assert_eq!(end(child), Some(0), "{signal:?}");
        assert!(begun.elapsed() < Duration::from_secs(8), "it did not wait for the grace time, which is 10 s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_under_way_is_finished_first() {
    let zone = Zone::serve().await;
    let (child, log) = agent(&zone, "1s", "won the round");
    send(&child, Signal::TERM);
    let log: Vec<String> = log.collect();
    assert_eq!(end(child), Some(0));
    assert!(log.iter().any(|line| line.contains("the round is done")), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("won the round")), "{log:#?}");
    assert!(zone.values().await[0].contains("\"o\":\"ok\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_gives_the_round_back() {
    let zone = Zone::serve().await;
    let (child, mut log) = agent(&zone, "1s", "won the round");
    send(&child, Signal::INT);
    assert!(log.any(|line| line.contains("SIGINT: finishing")));
    send(&child, Signal::INT);
    let log: Vec<String> = log.collect();
    assert_eq!(end(child), Some(0));
    assert!(log.iter().any(|line| line.contains("gave the round back")), "{log:#?}");
    assert!(zone.values().await[0].contains("\"s\":\"free\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_log_nobody_reads_goes_on() {
    let zone = Zone::serve().await;
    let (child, log) = agent(&zone, "1s", "won the round");
    drop(log);
    let first = zone.values().await;
    let begun = Instant::now();
    while zone.values().await == first || !zone.values().await[0].contains("\"o\":\"ok\"") {
        assert!(begun.elapsed() < PATIENCE, "it stopped with its log");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    send(&child, Signal::TERM);
    assert_eq!(end(child), Some(0));
}
