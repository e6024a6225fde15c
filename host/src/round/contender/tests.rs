//! Each step of a round, driven by hand over an RRset in memory.

mod delivery;
mod doubt;
mod hands;
mod missed;
mod rounds;
mod same_module;
mod sealed;
mod settling;
mod state;
mod steering;
mod stopping;

use std::time::Duration;

use super::{Action, Backoff, Contender, Event, Now, Rules};
use crate::round::{Fence, Observation, Record, Replaced, Revision, Schedule};

/// The RRset, and the conditional replacement.
#[derive(Default)]
struct Zone(Vec<Vec<u8>>);

impl Zone {
    fn observe(&self) -> Observation {
        Observation { revision: self.revision(), values: self.0.clone() }
    }

    fn revision(&self) -> Revision {
        if self.0.is_empty() { Revision::Absent } else { Revision::Exact(self.0.join(&0).into()) }
    }

    fn replace(&mut self, expected: &Revision, record: &Record) -> Replaced {
        self.replace_value(expected, record.encode())
    }

    fn replace_value(&mut self, expected: &Revision, value: Vec<u8>) -> Replaced {
        if *expected != self.revision() {
            return Replaced::Conflict;
        }
        self.0 = vec![value];
        Replaced::Applied(self.revision())
    }

    fn record(&self) -> Record {
        self.observe().record().unwrap().unwrap()
    }

    fn put(&mut self, json: &str) {
        self.0 = vec![json.as_bytes().to_vec()];
    }
}

fn rules(every: u64) -> Rules {
    Rules {
        lease_ms: 10_000,
        backoff: Backoff { base_ms: 1_000, cap_ms: 4_000 },
        spread_ms: 0,
        ..Rules::new(Schedule::every(every).unwrap())
    }
}

const EPOCH: u64 = 1_800_000_000;

fn at(seconds: f64) -> Now {
    let ms = u64::try_from(Duration::from_secs_f64(seconds).as_millis()).unwrap();
    Now { wall_ms: EPOCH * 1000 + ms, mono_ms: 5_000 + ms }
}

fn agent(id: &str, rules: Rules) -> Contender {
    let mut agent = Contender::new(id.to_owned(), rules, 7, at(0.0));
    agent.handle(at(0.0), Event::Module(Some("0123456789ab".to_owned())));
    agent
}

/// Answers reads and replacements until the agent wants nothing more, and gives what else it did.
fn settle(agent: &mut Contender, now: Now, zone: &mut Zone) -> Vec<Action> {
    let mut others = Vec::new();
    agent.handle(now, Event::Time);
    while let Some(action) = agent.poll_action() {
        match action {
            Action::Read => agent.handle(now, Event::Read(Ok(zone.observe()))),
            Action::Replace { expected, value, .. } => {
                let outcome = zone.replace_value(&expected, value);
                agent.handle(now, Event::Replaced(Ok(outcome)));
            }
            other => others.push(other),
        }
    }
    others
}

fn starts(actions: &[Action]) -> Vec<Fence> {
    actions
        .iter()
        .filter_map(|action| if let Action::Start { fence, .. } = action { Some(*fence) } else { None })
        .collect()
}

fn fence(second: u64, attempt: u32) -> Fence {
    Fence { round: EPOCH + second, attempt }
}

/// Until just before the answer to a replacement.
fn until_replace(agent: &mut Contender, now: Now, zone: &Zone) -> (Revision, Record) {
    agent.handle(now, Event::Time);
    while let Some(action) = agent.poll_action() {
        match action {
            Action::Read => agent.handle(now, Event::Read(Ok(zone.observe()))),
            Action::Replace { expected, record, .. } => return (expected, record),
            _ => {}
        }
    }
    panic!("no replacement was asked for")
}
