//! What befalls agents, the arbiter and the record, and how all of it ends.

use rand::Rng;

use super::{Due, World};
use crate::agent::{Agent, News};
use crate::faults::Fault;
use crate::history::Happening;
use crate::options::{EPOCH, hit};

impl World {
    /// After any step of an agent it may crash or stand still.
    pub(super) fn strike(&mut self, slot: usize) {
        if self.is_healed || self.agents[slot].is_none() {
            return;
        }
        self.strike_with(slot, self.options.chances.crash, self.options.chances.pause);
    }

    fn strike_with(&mut self, slot: usize, crash: u32, pause: u32) {
        if hit(&mut self.rng, crash) {
            self.faults.count(Fault::Crash);
            let back_after_ms = self.rng.random_range(0..=2 * self.options.lease_ms);
            self.leave(slot, back_after_ms);
        } else if hit(&mut self.rng, pause) {
            self.pause(slot);
        }
    }

    fn pause(&mut self, slot: usize) {
        let ms = if self.rng.random_bool(0.5) {
            self.rng.random_range(1..=3 * self.options.lease_ms)
        } else {
            self.rng.random_range(1..=100)
        };
        let Some(agent) = self.agents[slot].as_mut().filter(|agent| !agent.is_paused) else { return };
        agent.is_paused = true;
        let start = agent.start;
        self.faults.count(Fault::Pause);
        self.tell(&Happening::Hindered { agent: start });
        self.plan(ms, Due::Resume(slot, start));
    }

    /// What may happen in any second.
    pub(super) fn second(&mut self) {
        if self.is_healed {
            return;
        }
        self.plan(1_000, Due::Second);
        let chances = self.options.chances.clone();
        let some_time = self.rng.random_range(100..=2 * self.options.lease_ms);
        if hit(&mut self.rng, chances.outage) {
            self.faults.count(Fault::Outage);
            self.network.down_until = self.now + some_time;
        }
        if hit(&mut self.rng, chances.stubborn) {
            self.faults.count(Fault::Stubborn);
            self.network.stubborn_until = self.now + some_time;
            self.hinder_all();
        }
        if hit(&mut self.rng, chances.hand) {
            // Not within the difference of the clocks from a due time: who creates the record anew may believe that it is
            // still to come, and nobody is left to tell that it was run.
            self.plan(500, Due::Hand);
        }
        let slot = self.victim();
        let Some(agent) = self.agents[slot].as_mut() else { return };
        let start = agent.start;
        if hit(&mut self.rng, chances.cut_off) {
            self.faults.count(Fault::CutOff);
            agent.cut_off_until = self.now + some_time;
        }
        if hit(&mut self.rng, chances.no_module) {
            self.faults.count(Fault::NoModule);
            self.plan(some_time, Due::News(slot, start, News::Module(true)));
            self.bring(slot, start, News::Module(false));
        }
        if hit(&mut self.rng, chances.stop) {
            self.faults.count(Fault::Stop);
            if self.rng.random_bool(0.7) {
                self.faults.count(Fault::GiveBack);
                let after = if self.rng.random_bool(0.5) { 0 } else { some_time };
                self.plan(after, Due::News(slot, start, News::GiveBack));
            }
            self.bring(slot, start, News::Stop);
        }
        // As often as after several steps: there are few of them in a second.
        self.strike_with(slot, 4 * chances.crash, 4 * chances.pause);
    }

    /// Any agent, or the one that runs the job, which has more to lose.
    fn victim(&mut self) -> usize {
        let any = self.rng.random_range(0..self.agents.len());
        let has_run = |agent: &Option<Agent>| agent.as_ref().is_some_and(|agent| agent.run.is_some());
        let runs = self.agents.iter().position(has_run).filter(|_| self.rng.random_bool(0.5));
        runs.unwrap_or(any)
    }

    fn hinder_all(&mut self) {
        let all: Vec<_> = self.agents.iter().flatten().map(|agent| agent.start).collect();
        for agent in all {
            self.tell(&Happening::Hindered { agent });
        }
    }

    /// A hand changes what stands there, and repairs it later.
    pub(super) fn hand(&mut self) {
        if self.is_healed {
            return;
        }
        let soon = EPOCH + self.now / 1000 + 2;
        let (fault, values) = match self.rng.random_range(0..5) {
            0 => (Fault::Deleted, Vec::new()),
            1 => (Fault::Garbage, vec![b"v=spf1 -all".to_vec()]),
            2 => (Fault::Garbage, [self.network.arbiter.observe().values, vec![self.plain(soon)]].concat()),
            3 => (Fault::Plain, vec![self.plain(soon)]),
            _ => (Fault::Plain, vec![self.plain(self.next())]),
        };
        self.faults.count(fault);
        self.put(values);
        if fault == Fault::Garbage {
            let after = self.rng.random_range(1..=3 * self.options.every * 1000);
            self.plan(after, Due::Repair);
        }
    }

    fn next(&self) -> u64 {
        self.options.schedule().after(EPOCH + self.now / 1000)
    }

    /// As an agent that knows only four fields writes it.
    fn plain(&self, next: u64) -> Vec<u8> {
        format!(r#"{{"id":"hand","timer":{next},"timerold":{},"entryid":"1b60"}}"#, EPOCH + self.now / 1000)
            .into_bytes()
    }

    pub(super) fn repair(&mut self) {
        if self.network.arbiter.observe().record().is_err() {
            let values = vec![self.plain(self.next())];
            self.put(values);
        }
    }

    fn put(&mut self, values: Vec<Vec<u8>>) {
        self.is_a_hands = true;
        self.last_hand = self.now;
        self.network.arbiter.overwrite(values);
        self.tell(&Happening::Hand);
    }

    /// From now on nothing goes wrong any more.
    pub(super) fn heal(&mut self) {
        self.is_healed = true;
        self.network.heal();
        self.tell(&Happening::Healed);
        self.repair();
        for slot in 0..self.agents.len() {
            let after = self.rng.random_range(0..100);
            match &mut self.agents[slot] {
                Some(agent) => {
                    let start = agent.start;
                    agent.cut_off_until = 0;
                    if agent.is_paused {
                        self.plan(after, Due::Resume(slot, start));
                    }
                    self.plan(after, Due::News(slot, start, News::Module(true)));
                }
                None => self.plan(after, Due::Begin(slot)),
            }
        }
    }
}
