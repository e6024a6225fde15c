//! What the demo shows: one legible line for each thing that happens, with some colour on a terminal and none elsewhere.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use jiff::Zoned;
use serde_json::Value;

use super::super::output::{colour, show};
use crate::runtime::clean;

/// The widest line on a terminal, in characters: what is longer goes on in the next one, indented.
const WIDTH: usize = 78;
/// What stands before a text: the time and the agent.
const MARGIN: usize = 17;
/// The longest text of one event, in bytes.
const MAX_TEXT: usize = 2000;
/// Who speaks where all agents would say the same.
const ALL: &str = "all";

const DIM: &str = "2";
const BAD: &str = "31";
const LOUD: &str = "1;33";
/// The agents' own colours, in their order.
const VOICES: [&str; 3] = ["36", "35", "32"];

/// The screen.
pub(super) struct Stage {
    agents: Vec<String>,
    terminal: bool,
    colour: bool,
    watched: bool,
    /// What was last said of the module: every agent loads or refuses it for itself, and would say so again.
    module: Option<(String, String)>,
}

impl Stage {
    pub(super) fn new(agents: &[&str]) -> Self {
        let stdout = io::stdout();
        let agents = agents.iter().map(|name| (*name).to_owned()).collect();
        let terminal = io::IsTerminal::is_terminal(&stdout);
        Self { agents, terminal, colour: colour(&stdout), watched: true, module: None }
    }

    /// Whether anybody still reads what is shown.
    pub(super) const fn is_watched(&self) -> bool {
        self.watched
    }

    /// What there is, and what to try.
    pub(super) fn introduce(
        &mut self,
        every: Duration,
        record: &str,
        dns: SocketAddr,
        job: &Path,
        agents: &[(String, u32)],
    ) {
        let list: Vec<String> = agents.iter().map(|(name, pid)| format!("{} (pid {pid})", self.voice(name))).collect();
        let soloist = std::env::args().next().unwrap_or_else(|| "soloist".to_owned());
        let (every, job) = (humantime::format_duration(every), job.display());
        for line in [
            format!("Three agents, one plays: a round every {every}, on this machine only."),
            String::new(),
            format!("  agents  {}", list.join(", ")),
            format!("  record  {record}, served at {dns}"),
            format!("  job     {job}"),
            String::new(),
            "Try in another terminal:".to_owned(),
            self.paint(DIM, "  # who ran last, when, and when the next run is due"),
            format!("  dig @{} -p {} {record} TXT +short", dns.ip(), dns.port()),
            format!("  {soloist} status {record} --server {dns}"),
            self.paint(DIM, "  # the next round says the new message"),
            format!("  sed -i s/Hello/Bonjour/ {job}"),
            self.paint(DIM, "  # another agent takes over the very same round"),
            "  the `kill -9` that stands behind a claim".to_owned(),
            String::new(),
            "Ctrl-C ends it.".to_owned(),
            String::new(),
        ] {
            self.print(&line);
        }
    }

    /// One event of an agent's log.
    pub(super) fn show(&mut self, agent: &str, pid: Option<u32>, event: &Value) {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let round = format!("round {}:", event["round"].as_u64().unwrap_or_default());
        match event["event"].as_str() {
            Some("created") => self.say(agent, "", "created the record"),
            Some("won") => match event["from"].as_str() {
                Some(from) => {
                    let attempt = event["attempt"].as_u64().unwrap_or_default();
                    self.say(agent, LOUD, &format!("{round} TOOK OVER from {}, attempt {attempt}", person(from)));
                }
                None => self.claimed(agent, &round, event["late_ms"].as_u64().unwrap_or_default(), pid),
            },
            Some("ran") if event["outcome"] == "ok" => self.say(agent, "", &format!("{round} \"{}\"", text("summary"))),
            Some("ran") => self.say(agent, BAD, &format!("{round} failed ({}): {}", text("outcome"), text("reason"))),
            Some("freed") => self.say(agent, "", &format!("{round} gave it back")),
            Some(kind @ ("swapped" | "refused" | "restored")) => self.module(agent, kind, event),
            Some("trouble" | "superseded" | "halted" | "closed" | "recovered") => {
                self.say(agent, BAD, &text("message"));
            }
            _ if event["error"].is_string() => self.say(agent, BAD, &text("error")),
            _ if event["level"] == "WARN" || event["level"] == "ERROR" => self.say(agent, BAD, &text("message")),
            // Not from the log: a complaint of the system.
            _ => {
                if let Value::String(line) = event {
                    self.say(agent, BAD, line);
                }
            }
        }
    }

    fn claimed(&mut self, agent: &str, round: &str, late_ms: u64, pid: Option<u32>) {
        let claim = format!("{round} claimed, {late_ms} ms late");
        let kill = pid.map(|pid| self.paint(DIM, &format!("kill -9 {pid}"))).unwrap_or_default();
        self.line(agent, &format!("{claim:<44} {kill}"));
    }

    /// A module was loaded or refused: said once for all agents.
    fn module(&mut self, agent: &str, kind: &str, event: &Value) {
        let digest = event["digest"].as_str().unwrap_or_default();
        let kept = event["kept"].as_str();
        let news = (kind.to_owned(), format!("{digest} {}", kept.is_some()));
        // An agent that starts loads what the others run already.
        let known = kind == "swapped" && event["before"].is_null() && self.module.is_some();
        if known || self.module.as_ref() == Some(&news) {
            return;
        }
        let reason = event["reason"].as_str().unwrap_or_default();
        match (kind, kept) {
            ("swapped", _) if self.module.is_none() => self.say(ALL, "", &format!("loaded the job, sha256 {digest}")),
            ("swapped", _) => self.say(ALL, LOUD, &format!("loaded the new job for the next round, sha256 {digest}")),
            ("restored", _) => self.say(ALL, "", "found the job in use in its place again"),
            (_, Some(_)) => self.say(ALL, BAD, &format!("refused the new job and keep the old one: {reason}")),
            (_, None) => self.say(agent, BAD, &format!("refused the job and has no other: {reason}")),
        }
        self.module = Some(news);
    }

    /// An agent is gone.
    pub(super) fn gone(&mut self, agent: &str, how: &str) {
        self.say(agent, BAD, &format!("{how}; the others do not know, and need not"));
    }

    /// An agent is back.
    pub(super) fn back(&mut self, agent: &str, pid: u32) {
        self.say(agent, "", &format!("is back (pid {pid})"));
    }

    /// The end begins.
    pub(super) fn farewell(&mut self) {
        self.print("");
        self.print("Stopping the agents ...");
    }

    /// The end.
    pub(super) fn curtain(&mut self) {
        self.print("Nothing is left behind.");
    }

    /// A text of an agent, on as many lines as a terminal needs.
    fn say(&mut self, agent: &str, look: &str, text: &str) {
        let text = clean(text, MAX_TEXT);
        let width = if self.terminal { WIDTH - MARGIN } else { usize::MAX };
        let mut lines = wrap(&text, width).into_iter();
        let first = self.paint(look, &lines.next().unwrap_or_default());
        self.line(agent, &first);
        for line in lines {
            let rest = self.paint(look, &line);
            self.print(&format!("{:MARGIN$}{rest}", ""));
        }
    }

    fn line(&mut self, agent: &str, text: &str) {
        let time = self.paint(DIM, &Zoned::now().strftime("%H:%M:%S").to_string());
        let gap = " ".repeat(7_usize.saturating_sub(agent.len()));
        self.print(format!("{time}  {}{gap}{text}", self.voice(agent)).trim_end());
    }

    /// An agent's name in its colour.
    fn voice(&self, agent: &str) -> String {
        let index = self.agents.iter().position(|name| name == agent);
        self.paint(index.and_then(|index| VOICES.get(index)).copied().unwrap_or(""), agent)
    }

    fn paint(&self, look: &str, text: &str) -> String {
        if self.colour && !look.is_empty() { format!("\x1b[{look}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn print(&mut self, line: &str) {
        self.watched = show(line) && self.watched;
    }
}

/// An id without its random part.
fn person(id: &str) -> &str {
    id.rsplit_once('-').map_or(id, |(name, _)| name)
}

/// A text in lines of at most `width` characters, broken at spaces; a longer word has a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_broken_at_spaces_and_loses_no_word() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a verylongword b", 5), ["a", "verylongword", "b"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("one two", usize::MAX), ["one two"]);
    }

    #[test]
    fn an_id_is_shown_without_its_random_part() {
        assert_eq!(person("alto-0123456789abcdef"), "alto");
        assert_eq!(person("MAWDAHDOQH"), "MAWDAHDOQH");
    }
}
