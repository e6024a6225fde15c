//! `job run --watch`: again at each save, whatever fails, and not because of what a build writes.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::shell::{HEARTBEAT, Shell};

/// Longer than anything here takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What stands at the end of each round.
const WAITING: &str = "waiting for a change";

struct Watched {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Watched {
    fn start(shell: &Shell, arguments: &[&str]) -> Self {
        let mut command = shell.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("stdout")), Box::new(child.stderr.take().expect("stderr"))];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits until each of these texts was said since the last time, in whatever order: they are on two streams.
    fn until(&mut self, texts: &[&str]) {
        let begun = Instant::now();
        let mut missing = texts.to_vec();
        while !missing.is_empty() {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no {missing:?} in {:#?}", self.seen));
            missing.retain(|text| !line.contains(text));
            self.seen.push(line);
        }
    }

    /// Ends it by a signal; gives its exit code and how many lines had this text.
    fn end(mut self, signal: Signal, text: &str) -> (Option<i32>, usize) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the process is there");
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        self.seen.extend(self.lines.iter());
        (status.code(), self.seen.iter().filter(|line| line.contains(text)).count())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn saying(word: &str) -> String {
    let text = HEARTBEAT.replace("2_000_000_000", "0").replace("Hello from round", word);
    assert!(text.contains(word));
    text
}

#[test]
fn a_project_is_built_and_run_again_at_each_save() {
    let shell = Shell::new();
    let build = r#"["sh", "-c", "! grep -q mistake job.wat && cp job.wat build/a.wat && date +%N >build/stamp"]"#;
    shell
        .write("p/job.toml", format!("name = \"a\"\nbuild = {build}\noutput = \"build/a.wat\"\nmodule = \"a.wasm\"\n"));
    shell.write("p/job.wat", saying("Round one. round"));
    let mut watched = Watched::start(&shell, &["job", "run", "--watch", "p"]);
    watched.until(&["Round one. round", WAITING]);
    shell.write("p/job.wat", saying("Round two. round"));
    watched.until(&["Round two. round", WAITING]);
    shell.write("p/job.wat", "a mistake");
    watched.until(&["failed: exit status", WAITING]);
    shell.write("p/job.wat", "(component (nonsense))");
    watched.until(&["made no module for an agent", WAITING]);
    shell.write("p/job.wat", saying("Round six. round"));
    watched.until(&["Round six. round", WAITING]);
    // Five saves, and what the builds wrote woke nobody.
    assert_eq!(watched.end(Signal::INT, "building: sh"), (Some(0), 5));
}

#[test]
fn a_module_is_run_again_when_it_changes_and_a_run_that_is_too_old_is_stopped() {
    let mut shell = Shell::new();
    shell.set("SOLOIST_LOG", "info,soloist::cli=debug");
    // It would take half an hour.
    shell.write("a.wat", HEARTBEAT.replace("2_000_000_000", "2_000_000_000_000"));
    let mut watched = Watched::start(&shell, &["job", "run", "--watch", "a.wat", "--timeout", "1h"]);
    watched.until(&["the run begins"]);
    shell.write("a.wat", saying("Hello anew round"));
    watched.until(&["outcome=stopped", "Hello anew round"]);
    assert_eq!(watched.end(Signal::TERM, "the run begins"), (Some(0), 2));
}
