//! `job run --watch`: again at each save, whatever fails, and not because of what a build writes.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::shell::{HEARTBEAT, Shell};

/// Longer than anything here takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

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

    /// Waits for a line with this text.
    fn until(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no `{text}` in {:#?}", self.seen));
            self.seen.push(line);
            if self.seen.last().is_some_and(|line| line.contains(text)) {
                return;
            }
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
    // The same number of characters as the text that it stands for, since the module counts them.
    shell.write("p/job.wat", saying("Round one. round"));
    let mut watched = Watched::start(&shell, &["job", "run", "--watch", "p"]);
    watched.until("Round one. round");
    watched.until("waiting for a change");
    shell.write("p/job.wat", saying("Round two. round"));
    watched.until("Round two. round");
    watched.until("waiting for a change");
    shell.write("p/job.wat", "a mistake");
    watched.until("failed: exit status");
    watched.until("waiting for a change");
    shell.write("p/job.wat", "(component (nonsense))");
    watched.until("cannot be loaded");
    watched.until("waiting for a change");
    shell.write("p/job.wat", saying("Round six. round"));
    watched.until("Round six. round");
    watched.until("waiting for a change");
    // Five saves, and what the builds wrote woke nobody.
    assert_eq!(watched.end(Signal::INT, "building: sh"), (Some(0), 5));
}

#[test]
fn a_module_is_run_again_when_it_changes_and_a_run_that_is_too_old_is_stopped() {
    let shell = Shell::new();
    // It works for two seconds of processor time.
    let slow = HEARTBEAT.replace("2_000_000_000", "2_000_000_000_000");
    shell.write("a.wat", &slow);
    let mut watched = Watched::start(&shell, &["job", "run", "--watch", "a.wat", "--timeout", "1h"]);
    shell.write("a.wat", saying("Hello anew round"));
    watched.until("Hello anew round");
    watched.until("waiting for a change");
    assert_eq!(watched.end(Signal::TERM, "ended by SIGTERM"), (Some(0), 1));
}
