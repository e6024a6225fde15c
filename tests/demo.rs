//! The demo as its audience sees it: rounds, a takeover, an edited job, and nothing left behind however it ends.
#![cfg(target_os = "linux")]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use soloist::dns::query::{Server, ask_all};
use soloist_tests::binary::soloist;
use soloist_tests::hand::name;
use tempfile::TempDir;

/// Longer than anything here takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// A demo, and what it has shown so far.
struct Demo {
    child: Child,
    lines: Receiver<String>,
    shown: Vec<String>,
    /// Where it makes its own directory.
    temporary: TempDir,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let temporary = tempfile::Builder::new().prefix("demo-test-").tempdir().expect("a directory");
        let mut child = Command::new(soloist())
            .arg("demo")
            .args(arguments)
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo starts");
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let (tell, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, lines, shown: Vec::new(), temporary }
    }

    /// The next line that `wanted` takes something from.
    fn next<T>(&mut self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let line = match self.lines.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) {
                Ok(line) => line,
                Err(error) => panic!("no {what} ({error}) in:\n{}", self.shown.join("\n")),
            };
            self.shown.push(line.clone());
            if let Some(found) = wanted(&line) {
                return found;
            }
        }
    }

    fn next_with(&mut self, text: &str) -> String {
        self.next(text, |line| line.contains(text).then(|| line.to_owned()))
    }

    /// What it says of itself first: the agents' process ids, the job's path and the server's address.
    fn introduction(&mut self) -> (Vec<i32>, PathBuf, SocketAddr) {
        let agents = self.next("agents", |line| line.strip_prefix("  agents  ").map(str::to_owned));
        let pids = agents.split("(pid ").skip(1).map(|rest| rest.split(')').next().unwrap_or_default());
        let pids: Vec<i32> = pids.map(|pid| pid.parse().expect("a process id")).collect();
        let server = self.next("record", |line| line.split_once(", served at ").map(|(_, server)| server.to_owned()));
        let job = self.next("job", |line| line.strip_prefix("  job     ").map(PathBuf::from));
        assert_eq!(pids.len(), 3, "{agents}");
        (pids, job, server.parse().expect("an address"))
    }

    /// Waits for a claim: the round, the agent, and the process id to kill.
    fn claim(&mut self) -> (u64, String, i32) {
        self.next("claim", |line| {
            let (before, rest) = line.split_once(": claimed, ")?;
            let (before, round) = before.split_once("round ")?;
            let pid = rest.split_once("kill -9 ")?.1;
            Some((round.parse().ok()?, before.split_whitespace().last()?.to_owned(), pid.parse().ok()?))
        })
    }

    fn signal(&self, signal: Signal) {
        kill(i32::try_from(self.child.id()).expect("a process id"), signal);
    }

    fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end after:\n{}", self.shown.join("\n"));
    }

    fn leftovers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.temporary.path()).expect("the directory");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself; its agents end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a process id"), signal).expect("the process is there");
}

/// Whether a process of this id runs: one that has ended and was not waited for does not.
fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn until_gone(pids: &[i32]) {
    let begun = Instant::now();
    while pids.iter().any(|pid| is_running(*pid)) {
        assert!(begun.elapsed() < PATIENCE, "of {pids:?} some still run");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Replaces in the job's file as an editor does: a new file in place of the old one.
fn edit(job: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(job).expect("the job");
    assert!(text.contains(from), "the job has `{from}`");
    let new = job.with_extension("new");
    std::fs::write(&new, text.replace(from, to)).expect("the new job");
    std::fs::rename(new, job).expect("the job is replaced");
}

#[test]
fn a_killed_winner_is_taken_over_in_the_same_round_and_comes_back() {
    let mut demo = Demo::start(&["--every", "4s"]);
    let (pids, _, _) = demo.introduction();
    let (round, agent, pid) = demo.claim();
    assert!(pids.contains(&pid));
    kill(pid, Signal::KILL);
    demo.next_with(&format!("{agent:<6} was killed (SIGKILL)"));
    let line = demo.next_with(&format!("round {round}: TOOK OVER from {agent}, attempt 2"));
    let heir = line.split_whitespace().nth(1).expect("an agent").to_owned();
    assert_ne!(heir, agent);
    demo.next_with(&format!("{heir:<6} round {round}: \"Hello from round {round}\""));
    demo.next_with(&format!("{agent:<6} is back (pid "));
    assert!(demo.claim().0 > round);
}

#[tokio::test]
async fn the_record_that_it_points_at_tells_of_the_round() {
    let mut demo = Demo::start(&["--every", "4s", "--rounds", "1"]);
    let (_, _, server) = demo.introduction();
    let (round, agent, _) = demo.claim();
    let server = Server { name: None, addr: server };
    let answers = ask_all(&name("heartbeat.demo.test."), &[server], Duration::from_secs(10)).await;
    let seen = answers[0].result.as_ref().expect("an answer");
    let record = seen.observation.record().expect("readable").expect("a record");
    assert!(record.id.starts_with(&format!("{agent}-")), "{}", record.id);
    assert_eq!(record.fence.map(|fence| fence.round), Some(round));
    assert!(demo.end().success(), "it ends by itself after one round");
    assert_eq!(demo.leftovers(), [] as [PathBuf; 0]);
}

#[test]
fn an_edited_job_is_run_next_and_a_broken_one_is_refused() {
    let mut demo = Demo::start(&["--every", "3s"]);
    let (_, job, _) = demo.introduction();
    demo.next_with("all    loaded the job, sha256 ");
    demo.claim();
    edit(&job, "Hello from", "Bonjour from");
    demo.next_with("all    loaded the new job for the next round, sha256 ");
    demo.next_with(": \"Bonjour from round ");
    edit(&job, "(component", "(componentt");
    demo.next_with("all    refused the new job and keep the old one: the WebAssembly text cannot be read: ");
    demo.claim();
    demo.next_with(": \"Bonjour from round ");
    edit(&job, "(componentt", "(component");
    demo.next_with("all    found the job in use in its place again");
    let said = |text: &str| demo.shown.iter().filter(|line| line.contains(text)).count();
    assert_eq!(
        (said("loaded the job"), said("loaded the new job"), said("refused the new job")),
        (1, 1, 1),
        "each once for all agents"
    );
}

#[test]
fn ctrl_c_leaves_no_process_and_no_file() {
    let mut demo = Demo::start(&["--every", "4s"]);
    let (pids, job, _) = demo.introduction();
    demo.claim();
    assert!(job.starts_with(demo.temporary.path()) && job.is_file());
    demo.signal(Signal::INT);
    assert_eq!(demo.end().code(), Some(0));
    demo.next_with("Nothing is left behind.");
    assert!(!pids.iter().any(|pid| is_running(*pid)));
    assert_eq!(demo.leftovers(), [] as [PathBuf; 0]);
    assert!(!demo.shown.iter().any(|line| line.contains('\x1b')), "no colour where there is no terminal");
}

#[test]
fn a_frozen_agent_is_ended_too() {
    let mut demo = Demo::start(&["--every", "4s"]);
    let (pids, _, _) = demo.introduction();
    demo.claim();
    kill(pids[0], Signal::STOP);
    demo.signal(Signal::TERM);
    // Looked at while the demo is still there: its end wakes what stands still.
    demo.next_with("Nothing is left behind.");
    assert!(!pids.iter().any(|pid| is_running(*pid)));
    assert_eq!(demo.end().code(), Some(0));
    assert_eq!(demo.leftovers(), [] as [PathBuf; 0]);
}

#[test]
fn the_agents_end_with_a_demo_that_is_killed() {
    let mut demo = Demo::start(&["--every", "4s"]);
    let (pids, _, _) = demo.introduction();
    demo.claim();
    demo.signal(Signal::KILL);
    until_gone(&pids);
}

#[test]
fn a_demo_that_nobody_watches_any_more_ends() {
    let mut demo = Demo::start(&["--every", "2s"]);
    let (pids, _, _) = demo.introduction();
    // The thread that reads ends when it cannot tell any more, and closes the pipe.
    let (_, closed) = channel();
    demo.lines = closed;
    assert_eq!(demo.end().code(), Some(0));
    until_gone(&pids);
    assert_eq!(demo.leftovers(), [] as [PathBuf; 0]);
    assert_eq!(demo.lines.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_left() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let holder = std::net::UdpSocket::bind(taken).expect("the port");
    let temporary = tempfile::tempdir().expect("a directory");
    let mut demo = Command::new(soloist());
    let output = demo.args(["demo", "--port", &taken.port().to_string()]).env("TMPDIR", temporary.path()).output();
    let output = output.expect("the demo starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("the DNS server cannot start") && stderr.contains("hint: `--port 0`"), "{stderr}");
    assert_eq!(std::fs::read_dir(temporary.path()).expect("the directory").count(), 0);
    drop(holder);
}
