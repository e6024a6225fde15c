//! Does what contenders ask for, as the agent loop of the host does it.

use rand::Rng;
use soloist::round::contender::{Action, Event, Halt};
use soloist::round::{Data, Fence, Outcome, Record};

use super::{Due, World};
use crate::agent::{News, Run};
use crate::broken::Broken;
use crate::faults::Fault;
use crate::history::{Happening, Stopped};
use crate::network::{Answer, Question, Reply, Request, Way, failure};

impl World {
    /// Does what an agent's contender asks for, unless something happens to the agent in between.
    pub(super) fn act(&mut self, slot: usize) {
        while let Some(agent) = self.agents[slot].as_mut().filter(|agent| !agent.is_paused) {
            let Some(action) = agent.contender.poll_action() else { break };
            let start = agent.start;
            if self.broken == Some(Broken::Restless) {
                self.fidget(slot);
            }
            let step = if matches!(action, Action::Start { .. }) { Fault::CrashStarted } else { Fault::CrashAsked };
            match action {
                Action::Read => self.ask(slot, Question::Read),
                Action::Replace { expected, record, value } => {
                    self.ask(slot, Question::Replace { expected, record: Box::new(record), value });
                }
                Action::Start { fence, lease_until_ms, data, .. } => self.start(slot, fence, lease_until_ms, data),
                Action::Extend { lease_until_ms } => self.extend(slot, lease_until_ms),
                Action::Halt(halt) => self.halt(slot, halt),
                Action::Notice(notice) => {
                    if let Some(trace) = self.trace {
                        trace(self.now, &Happening::Noticed { agent: start, notice });
                    }
                    continue;
                }
                Action::Done => {
                    let back_after_ms = self.rng.random_range(0..=self.options.lease_ms);
                    self.leave(slot, back_after_ms);
                }
            }
            self.strike(slot, step);
        }
        self.set_timer(slot);
    }

    fn set_timer(&mut self, slot: usize) {
        let now = self.now;
        let Some(agent) = self.agents[slot].as_mut().filter(|agent| !agent.is_paused) else { return };
        let Some(timeout) = agent.contender.poll_timeout() else {
            agent.wake = None;
            return;
        };
        let oversleeps = if self.broken == Some(Broken::Oversleeps) { 60_000 } else { 0 };
        let at = agent.true_ms(timeout).max(now) + oversleeps;
        if agent.wake != Some(at) {
            agent.wake = Some(at);
            let start = agent.start;
            self.plan(at - now, Due::Wake(slot, start));
        }
    }

    fn fidget(&mut self, slot: usize) {
        let now = self.now;
        if let Some(agent) = self.agents[slot].as_mut() {
            agent.contender.handle(agent.now(now), Event::Module(None));
            agent.contender.handle(agent.now(now), Event::Module(Some(agent.module.to_owned())));
        }
    }

    fn ask(&mut self, slot: usize, question: Question) {
        self.numbers += 1;
        let exchange = self.numbers;
        let now = self.now;
        let question = self.distort_question(question);
        let Some(agent) = self.agents[slot].as_mut() else { return };
        agent.asked_at = now;
        let (start, is_cut_off) = (agent.start, agent.cut_off_until > now);
        agent.exchange = Some((exchange, question.clone()));
        if self.broken == Some(Broken::Impatient) {
            let event = match failure(&question, "too slow") {
                Answer::Read(seen) => Event::Read(seen),
                Answer::Replaced(outcome) => Event::Replaced(outcome),
            };
            agent.contender.handle(agent.now(now), event);
        }
        let replacement = match &question {
            Question::Read => None,
            Question::Replace { record, .. } => Some(Record::clone(record)),
        };
        match &replacement {
            None => self.reads += 1,
            Some(_) => self.updates += 1,
        }
        self.tell(&Happening::Asked { agent: start, replacement });
        let request = Request { from: start, slot, exchange, sent: now, question, reply: Reply::Answer };
        let (way, is_hindered) = self.network.send(now, is_cut_off, request, &mut self.faults);
        if is_hindered || self.network.stubborn_until > now {
            self.tell(&Happening::Hindered { agent: start, until: now + self.options.timeout_ms });
        }
        match way {
            Way::Sent(requests) => {
                for (after, request) in requests {
                    self.plan(after, Due::Arrival(request));
                }
            }
            Way::Refused(after, answer) => {
                self.plan(after, Due::News(slot, start, News::Answered(exchange, answer, None)));
            }
        }
        self.plan(self.options.timeout_ms, Due::News(slot, start, News::GivenUp(exchange)));
    }

    fn start(&mut self, slot: usize, fence: Fence, lease_until_ms: u64, mut data: Option<Data>) {
        self.numbers += 1;
        let number = self.numbers;
        let now = self.now;
        let Some(agent) = self.agents[slot].as_mut() else { return };
        let start = agent.start;
        let mut lease_until = agent.true_ms(lease_until_ms);
        match self.broken {
            Some(Broken::EndlessLease) => lease_until = u64::MAX,
            Some(Broken::LeaseFromAnswer) => lease_until = now + self.options.lease_ms,
            _ => {}
        }
        if self.broken == Some(Broken::OldState) {
            data = agent.hoard.clone().or(data);
        }
        agent.run = Some(Run { number, fence, lease_until, data: data.clone() });
        let has_module = agent.without_until <= now;
        self.starts += 1;
        self.rounds += u64::from(fence.round > self.last_round);
        self.last_round = self.last_round.max(fence.round);
        self.tell(&Happening::Started { agent: start, fence, lease_until, data });
        if !has_module {
            self.take_in(slot, News::Ended(number, Outcome::Host));
            return;
        }
        let (ms, outcome) = self.options.run(&mut self.rng, self.is_healed);
        self.plan(ms, Due::News(slot, start, News::Ended(number, outcome)));
    }

    fn extend(&mut self, slot: usize, lease_until_ms: u64) {
        let Some(agent) = self.agents[slot].as_mut() else { return };
        let (start, lease_until) = (agent.start, agent.true_ms(lease_until_ms));
        if let Some(run) = &mut agent.run {
            run.lease_until = run.lease_until.max(lease_until);
            self.tell(&Happening::Extended { agent: start, lease_until });
        }
    }

    fn halt(&mut self, slot: usize, halt: Halt) {
        if self.broken == Some(Broken::EndlessLease) {
            return;
        }
        let Some(agent) = self.agents[slot].as_mut() else { return };
        let start = agent.start;
        if let Some(run) = agent.run.take() {
            self.commit_alone(&run);
            self.tell(&Happening::Stopped { agent: start, fence: run.fence, how: Stopped::Halted(halt) });
        }
    }
}
