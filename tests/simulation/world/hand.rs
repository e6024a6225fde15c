//! A hand at the zone: it deletes, edits, doubles and spoils what stands there, and repairs it later.

use rand::Rng;
use serde_json::Value;
use soloist::round::{Record, State};

use super::{Due, World};
use crate::faults::Fault;
use crate::history::Happening;
use crate::options::EPOCH;

impl World {
    /// A hand changes what stands there, and repairs it later.
    pub(super) fn hand(&mut self) {
        if self.is_healed {
            return;
        }
        let soon = self.second_now() + 2;
        let current = self.network.arbiter.observe().clone();
        let (fault, values) = match self.rng.random_range(0..8) {
            0 => (Fault::Deleted, Vec::new()),
            1 => (Fault::Garbage, vec![self.garbage(current.values.first())]),
            2 => (Fault::TwoRecords, [current.values, vec![self.plain(soon)]].concat()),
            3 => (Fault::Plain, vec![self.plain(soon)]),
            4 => (Fault::Plain, vec![self.plain(self.next())]),
            _ => match current.opened(&self.seal) {
                Ok(Some(record)) => (Fault::Edited, vec![self.edited(record).encode()]),
                _ => return,
            },
        };
        self.faults.count(fault);
        self.put(values);
        if matches!(fault, Fault::Garbage | Fault::TwoRecords) {
            let after = self.rng.random_range(1..=3 * self.options.every * 1000);
            self.plan(after, Due::Repair);
        }
    }

    fn second_now(&self) -> u64 {
        EPOCH + self.now / 1000
    }

    fn next(&self) -> u64 {
        self.options.schedule().after(self.second_now())
    }

    /// As an agent that knows only four fields writes it.
    fn plain(&self, next: u64) -> Vec<u8> {
        format!(r#"{{"id":"hand","timer":{next},"timerold":{},"entryid":"1b60"}}"#, self.second_now()).into_bytes()
    }

    /// What is no record, or none that can be meant.
    fn garbage(&mut self, current: Option<&Vec<u8>>) -> Vec<u8> {
        match self.rng.random_range(0..6) {
            0 => b"v=spf1 -all".to_vec(),
            1 => Vec::new(),
            2 => current.map_or_else(Vec::new, |value| value[..value.len() / 2].to_vec()),
            3 => br#"{"id":"hand","timer":250000000000}"#.to_vec(),
            4 => br#"{"id":"hand","timer":1,"timer":2}"#.to_vec(),
            _ => (0..self.rng.random_range(1..600)).map(|_| self.rng.random()).collect(),
        }
    }

    /// One field is changed; not the fence, and no running lease is cut short: these are promises that others rely on.
    fn edited(&mut self, record: Record) -> Record {
        let now = self.second_now();
        match self.rng.random_range(0..6) {
            0 if !record.state.is_running() => Record { timer: now + 2, ..record },
            0 | 1 => Record { timer: record.timer + self.rng.random_range(1..=2 * self.options.every), ..record },
            2 => Record { id: "hand".to_owned(), ..record },
            3 => Record { outcome: None, module: None, ..record },
            4 => Record { fence: None, returned: 0, state: State::Idle, timer: record.timer.max(now + 2), ..record },
            _ => {
                let mut record = record;
                record.extra.insert("note".to_owned(), Value::from(now));
                record
            }
        }
    }

    /// What cannot be acted on is replaced by a record of which the next due time is next.
    pub(super) fn repair(&mut self) {
        if self
            .network
            .arbiter
            .observe()
            .opened(&self.seal)
            .is_ok_and(|record| record.is_none_or(|record| self.is_meant(&record)))
        {
            return;
        }
        let values = vec![self.plain(self.next())];
        self.put(values);
    }

    fn is_meant(&self, record: &Record) -> bool {
        record.timer <= self.second_now() + 86_400
    }

    fn put(&mut self, values: Vec<Vec<u8>>) {
        self.is_a_hands = true;
        self.last_hand = self.now;
        self.network.arbiter.overwrite(self.now, values);
        let stands = self.network.arbiter.observe().opened(&self.seal);
        self.tell(&Happening::Hand { stands });
    }
}
