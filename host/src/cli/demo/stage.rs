//! What the demo shows, legibly: one line for each thing that happens.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use jiff::Zoned;
use serde_json::Value;

use super::output::data;

/// The screen.
pub(super) struct Stage {
    every: Duration,
}

impl Stage {
    pub(super) const fn new(every: Duration) -> Self {
        Self { every }
    }

    /// What there is, and what to try.
    pub(super) fn introduce(&self, record: &str, dns: SocketAddr, job: &Path, agents: &[(String, u32)]) {
        let every = humantime::format_duration(self.every);
        let list: Vec<String> = agents.iter().map(|(name, pid)| format!("{name} (pid {pid})")).collect();
        data(format_args!("Three agents, one plays: a round every {every}, on this machine only."));
        data("");
        data(format_args!("  agents  {}", list.join(", ")));
        data(format_args!("  record  {record}, served at {dns}"));
        data(format_args!("  job     {}", job.display()));
        data("");
        data("Try, in another terminal:");
        data(format_args!("  dig @{} -p {} {record} TXT +short", dns.ip(), dns.port()));
        data("      who ran last, when, and when the next run is due");
        data(format_args!("  edit {}", job.display()));
        data("      the next round says the new message");
        data("  the `kill -9` that stands behind a claim");
        data("      another agent takes over the very same round");
        data("Ctrl-C ends it.");
        data("");
    }

    /// One event of an agent's log.
    pub(super) fn show(&self, agent: &str, pid: Option<u32>, event: &Value) {
        let round = event["round"].as_u64().map(|round| round.to_string()).unwrap_or_default();
        let kill = pid.map(|pid| format!("   kill -9 {pid}")).unwrap_or_default();
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let line = match event["event"].as_str() {
            Some("created") => "created the record".to_owned(),
            Some("won") => match event["from"].as_str() {
                Some(from) => format!(
                    "round {round}: TOOK OVER from {}, attempt {}{kill}",
                    person(from),
                    event["attempt"].as_u64().unwrap_or_default()
                ),
                None => format!(
                    "round {round}: claimed, {} ms after it was due{kill}",
                    event["late_ms"].as_u64().unwrap_or_default()
                ),
            },
            Some("ran") if event["outcome"] == "ok" => format!("round {round}: \"{}\"", text("summary")),
            Some("ran") => format!("round {round}: failed ({}): {}", text("outcome"), text("reason")),
            Some("freed") => format!("round {round}: gave it back"),
            Some("swapped") => {
                format!("loaded the job, sha256 {}", text("digest").chars().take(12).collect::<String>())
            }
            Some("refused") => format!("refused the new job and keeps the old one: {}", text("reason")),
            Some("trouble" | "superseded" | "halted" | "closed" | "recovered") => text("message"),
            _ if event["level"] == "WARN" || event["level"] == "ERROR" => text("message"),
            _ => match event {
                // Not from the log: a panic, or a complaint of the system.
                Value::String(line) => line.clone(),
                _ => return,
            },
        };
        say(agent, &line);
    }

    /// An agent is gone.
    pub(super) fn gone(&self, agent: &str, how: &str) {
        say(agent, &format!("{how}; the others do not know, and need not"));
    }

    /// An agent is back.
    pub(super) fn back(&self, agent: &str, pid: u32) {
        say(agent, &format!("is back (pid {pid})"));
    }

    /// The end.
    pub(super) fn farewell(&self) {
        data("");
        data("Stopping the agents ...");
    }
}

/// An id without its random part.
fn person(id: &str) -> &str {
    id.rsplit_once('-').map_or(id, |(name, _)| name)
}

fn say(agent: &str, line: &str) {
    data(format_args!("{}  {agent:<6} {line}", Zoned::now().strftime("%H:%M:%S")));
}
