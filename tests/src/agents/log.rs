//! What the agents of a fleet say: the newest lines of their logs, in the order in which they came.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use soloist::round::Fence;

use super::clock;

/// How many lines are kept: the oldest go first.
const MAX_LINES: usize = 50_000;

/// How many lines a failure shows of each agent.
const TAIL: usize = 25;

/// One line of an agent's log.
#[derive(Debug, Clone)]
pub struct Event {
    /// Who said it.
    pub agent: String,
    /// When it arrived here, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What was said; a string where the line is no JSON, such as a panic.
    pub said: Value,
}

impl Event {
    /// What kind of event it is: `won`, `ran`, `finished`, ...; empty for a line that is none.
    pub fn kind(&self) -> &str {
        self.text("event")
    }

    /// A field that is text; empty where there is none.
    pub fn text(&self, field: &str) -> &str {
        self.said[field].as_str().unwrap_or_default()
    }

    /// A field that is a number; 0 where there is none.
    pub fn number(&self, field: &str) -> u64 {
        self.said[field].as_u64().unwrap_or_default()
    }

    /// The job that it is about; empty for none.
    pub fn job(&self) -> &str {
        let spans = self.said["spans"].as_array().into_iter().flatten();
        spans.filter_map(|span| span["job"].as_str()).next_back().unwrap_or_default()
    }

    /// The fence that it is about, with 0 for what it does not say.
    pub fn fence(&self) -> Fence {
        Fence { round: self.number("round"), attempt: u32::try_from(self.number("attempt")).unwrap_or(u32::MAX) }
    }
}

/// The log of all agents.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<VecDeque<Event>>>);

impl Log {
    /// Reads an agent's log to its end, on a thread of its own: the agent would stop at a full pipe.
    pub(super) fn follow(&self, agent: &str, pipe: impl Read + Send + 'static) {
        let (log, agent) = (self.clone(), agent.to_owned());
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let said = serde_json::from_str(&line).unwrap_or(Value::String(line));
                log.add(Event { agent: agent.clone(), at_ms: clock::now_ms(), said });
            }
        });
    }

    pub(crate) fn add(&self, event: Event) {
        let mut events = self.events();
        if events.len() == MAX_LINES {
            events.pop_front();
        }
        events.push_back(event);
    }

    fn events(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events that are of interest, oldest first.
    pub fn all(&self, mut is_it: impl FnMut(&Event) -> bool) -> Vec<Event> {
        self.events().iter().filter(|event| is_it(event)).cloned().collect()
    }

    /// The first of them.
    pub fn first(&self, mut is_it: impl FnMut(&Event) -> bool) -> Option<Event> {
        self.events().iter().find(|event| is_it(event)).cloned()
    }

    /// The last lines of one agent.
    pub(super) fn tail(&self, agent: &str) -> String {
        let events = self.events();
        let mut lines: Vec<String> =
            events.iter().rev().filter(|event| event.agent == agent).take(TAIL).map(|e| e.said.to_string()).collect();
        lines.reverse();
        lines.join("\n")
    }
}
