//! The demo's agents: child processes that share nothing but the record, and whose log is read here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// How long a killed agent stays away.
const AWAY: Duration = Duration::from_secs(15);
/// How long the agents have to end in order.
const FAREWELL: Duration = Duration::from_secs(8);
/// How long killed ones may take to be gone.
const BURIAL: Duration = Duration::from_secs(2);
/// How many lines may wait to be shown.
const BACKLOG: usize = 1000;

/// What comes from the agents.
pub(super) enum Line {
    /// One line of an agent's log.
    Event { agent: String, event: Value },
    /// An agent's process ended.
    Ended { agent: String, how: String },
    /// An agent was started again.
    Revived { agent: String, pid: u32 },
}

/// What a task tells: a line, or that it is time to start an agent again.
enum Told {
    Line(Line),
    Revive(String),
}

/// The processes. Dropped, they are killed.
pub(super) struct Agents {
    config: PathBuf,
    names: Vec<String>,
    pids: HashMap<String, u32>,
    tell: mpsc::Sender<Told>,
    told: mpsc::Receiver<Told>,
}

impl Agents {
    pub(super) fn start(config: &Path, names: &[&str]) -> anyhow::Result<Self> {
        let (tell, told) = mpsc::channel(BACKLOG);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut agents = Self { config: config.to_owned(), names, pids: HashMap::new(), tell, told };
        for name in agents.names.clone() {
            agents.spawn(&name)?;
        }
        Ok(agents)
    }

    /// Name and process id of each agent that is up.
    pub(super) fn pids(&self) -> Vec<(String, u32)> {
        self.names.iter().filter_map(|name| Some((name.clone(), *self.pids.get(name)?))).collect()
    }

    pub(super) fn pid(&self, agent: &str) -> Option<u32> {
        self.pids.get(agent).copied()
    }

    /// Waits for the next thing that an agent says or that happens to one.
    pub(super) async fn next(&mut self) -> Line {
        match self.told().await {
            Told::Line(line) => {
                if let Line::Ended { agent, .. } = &line {
                    self.pids.remove(agent);
                }
                line
            }
            Told::Revive(agent) => match self.spawn(&agent) {
                Ok(pid) => Line::Revived { agent, pid },
                Err(error) => Line::Ended { agent, how: format!("could not be started again: {error:#}") },
            },
        }
    }

    pub(super) fn revive_later(&self, agent: String) {
        let tell = self.tell.clone();
        tokio::spawn(async move {
            tokio::time::sleep(AWAY).await;
            let _ = tell.send(Told::Revive(agent)).await;
        });
    }

    /// Asks every agent to stop, waits for them, and kills what is left.
    pub(super) async fn stop(mut self) {
        for (signal, patience) in [(Signal::TERM, FAREWELL), (Signal::KILL, BURIAL)] {
            self.signal(signal);
            let all_ended = async {
                while !self.pids.is_empty() {
                    if let Told::Line(Line::Ended { agent, .. }) = self.told().await {
                        self.pids.remove(&agent);
                    }
                }
            };
            if tokio::time::timeout(patience, all_ended).await.is_ok() {
                return;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        for pid in self.pids.values() {
            if let Some(pid) = i32::try_from(*pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, signal);
            }
        }
    }

    async fn told(&mut self) -> Told {
        match self.told.recv().await {
            Some(told) => told,
            // Cannot be: a sender is held here.
            None => std::future::pending().await,
        }
    }

    fn spawn(&mut self, name: &str) -> anyhow::Result<u32> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut child = Command::new(program)
            .args(["--log-format", "json", "run", "--end-with-parent", "--config"])
            .arg(&self.config)
            .env("SOLOIST_AGENT_NAME", name)
            .env("SOLOIST_LOG", "info")
            // It ends when this pipe does, however this process ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C in the terminal is for the demo, which then stops the agents.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start an agent")?;
        let pid = child.id().context("an agent ended at once")?;
        self.pids.insert(name.to_owned(), pid);
        let stderr = child.stderr.take().context("an agent has no stderr")?;
        tokio::spawn(follow(name.to_owned(), child, BufReader::new(stderr), self.tell.clone()));
        Ok(pid)
    }
}

async fn follow(
    agent: String,
    mut child: Child,
    log: BufReader<tokio::process::ChildStderr>,
    tell: mpsc::Sender<Told>,
) {
    // Held here, and not where waiting for the child would close it.
    let held = child.stdin.take();
    let mut lines = log.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
        if tell.send(Told::Line(Line::Event { agent: agent.clone(), event })).await.is_err() {
            return;
        }
    }
    drop(held);
    let how = child.wait().await.map_or_else(|error| error.to_string(), describe);
    let _ = tell.send(Told::Line(Line::Ended { agent, how })).await;
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status.signal() {
        Some(9) => "was killed (SIGKILL)".to_owned(),
        Some(signal) => format!("was ended by signal {signal}"),
        None => format!("ended ({status})"),
    }
}
