//! What befalls agents, the arbiter and the record, and how all of it ends.

use rand::Rng;

use super::{Due, World};
use crate::agent::{Agent, News};
use crate::faults::Fault;
use crate::history::{Happening, Start};
use crate::options::{MODULES, hit};

impl World {
    /// After any step of an agent it may crash or stand still.
    pub(super) fn strike(&mut self, slot: usize, step: Fault) {
        if !self.may_crash(slot, step) && !self.is_healed && hit(&mut self.rng, self.options.chances.pause) {
            self.pause(slot);
        }
    }

    /// At this step an agent may crash; whether it is gone.
    pub(super) fn may_crash(&mut self, slot: usize, step: Fault) -> bool {
        let is_hit = !self.is_healed && hit(&mut self.rng, self.options.chances.crash);
        if is_hit && self.agents[slot].is_some() {
            self.crash(slot, step);
        }
        self.agents[slot].is_none()
    }

    fn crash(&mut self, slot: usize, step: Fault) {
        self.faults.count(step);
        let at_once = self.rng.random_bool(0.25);
        let back_after_ms = if at_once { 0 } else { self.rng.random_range(0..=2 * self.options.lease_ms) };
        self.leave(slot, back_after_ms);
    }

    fn pause(&mut self, slot: usize) {
        let is_long = self.rng.random_bool(0.5);
        let lease_ms = self.options.lease_ms;
        let ms = if is_long {
            self.rng.random_range(lease_ms + 1..=3 * lease_ms)
        } else {
            self.rng.random_range(1..=if lease_ms > 5_000 { lease_ms } else { 100 })
        };
        let (now, until) = (self.now, self.now + ms);
        let Some(agent) = self.agents[slot].as_mut().filter(|agent| !agent.is_paused) else { return };
        (agent.is_paused, agent.paused_at) = (true, now);
        let start = agent.start;
        self.faults.count(if is_long { Fault::LongPause } else { Fault::Pause });
        self.tell(&Happening::Hindered { agent: start, until });
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
            let margin = self.options.skew_ms + 1;
            let after = self.rng.random_range(margin..=1_000 - margin);
            self.plan(after, Due::Hand);
        }
        if hit(&mut self.rng, chances.operator) {
            self.operator();
        }
        let slot = self.victim();
        if hit(&mut self.rng, chances.swap) {
            self.swap(slot);
        }
        let Some(agent) = self.agents[slot].as_mut() else { return };
        let start = agent.start;
        if hit(&mut self.rng, chances.cut_off) {
            self.faults.count(Fault::CutOff);
            agent.cut_off_until = self.now + some_time;
        }
        let hindered = |until| Happening::Hindered { agent: start, until };
        if hit(&mut self.rng, chances.jump) {
            let is_forward = agent.clock.jump(&mut self.rng);
            self.faults.count(if is_forward { Fault::JumpForward } else { Fault::JumpBack });
        }
        if hit(&mut self.rng, chances.no_module) {
            self.faults.count(Fault::NoModule);
            agent.without_until = self.now + some_time;
            self.tell(&hindered(self.now + some_time));
            self.plan(some_time, Due::News(slot, start, News::Module));
            self.bring(slot, start, News::Module);
        }
        if hit(&mut self.rng, chances.stop) {
            self.faults.count(Fault::Stop);
            if self.rng.random_bool(0.7) {
                self.faults.count(Fault::GiveBack);
                let after = if self.rng.random_bool(0.5) { 0 } else { some_time };
                self.plan(after, Due::News(slot, start, News::GiveBack));
            }
            self.tell(&hindered(u64::MAX));
            self.bring(slot, start, News::Stop);
        }
        // As often as after several steps: there are few of them in a second.
        if hit(&mut self.rng, 4 * chances.crash) {
            self.crash(slot, Fault::Crash);
        } else if hit(&mut self.rng, 4 * chances.pause) {
            self.pause(slot);
        }
    }

    /// Any agent, or the one that runs the job, which has more to lose.
    fn victim(&mut self) -> usize {
        let any = self.rng.random_range(0..self.agents.len());
        let has_run = |agent: &Option<Agent>| agent.as_ref().is_some_and(|agent| agent.run.is_some());
        let runs = self.agents.iter().position(has_run).filter(|_| self.rng.random_bool(0.5));
        runs.unwrap_or(any)
    }

    /// The module that an agent begins with.
    pub(super) fn draw_module(&mut self) -> &'static str {
        let is_mixed = self.options.same_module && !self.is_healed;
        MODULES[if is_mixed { self.rng.random_range(0..2) } else { 0 }]
    }

    /// An agent gets a module, perhaps another one.
    fn swap(&mut self, slot: usize) {
        let module = self.draw_module();
        let Some(agent) = self.agents[slot].as_mut() else { return };
        agent.module = module;
        let start = agent.start;
        self.faults.count(Fault::Swapped);
        self.bring(slot, start, News::Module);
    }

    /// Where agents wait for a module, none of them is sure to do what may be done before all have the same one.
    pub(super) fn hinder_by_its_module(&mut self, start: Start) {
        if self.options.same_module && !self.is_healed {
            self.tell(&Happening::Hindered { agent: start, until: self.options.faulty_ms });
        }
    }

    fn hinder_all(&mut self) {
        let all: Vec<_> = self.agents.iter().flatten().map(|agent| agent.start).collect();
        let until = self.network.stubborn_until;
        for agent in all {
            self.tell(&Happening::Hindered { agent, until });
        }
    }

    /// From now on nothing goes wrong any more.
    pub(super) fn heal(&mut self) {
        self.is_healed = true;
        self.network.heal();
        self.tell(&Happening::Healed);
        self.repair();
        self.resume_the_job();
        for slot in 0..self.agents.len() {
            let after = self.rng.random_range(0..100);
            match &mut self.agents[slot] {
                Some(agent) => {
                    let start = agent.start;
                    (agent.cut_off_until, agent.without_until, agent.module) = (0, 0, MODULES[0]);
                    if agent.is_paused {
                        self.plan(after, Due::Resume(slot, start));
                    }
                    self.plan(after, Due::News(slot, start, News::Module));
                }
                None => self.plan(after, Due::Begin(slot)),
            }
        }
    }
}
