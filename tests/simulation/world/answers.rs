//! Tells contenders what happened, as the agent loop of the host does it.

use rand::Rng;
use soloist::round::contender::{Contender, Ended, Event};
use soloist::round::{Change, Outcome, Replaced};

use super::World;
use super::broken::counted;
use crate::agent::News;
use crate::broken::Broken;
use crate::faults::Fault;
use crate::history::{Happening, Stopped};
use crate::network::{Answer, Question, silence};

impl World {
    /// Tells an agent's contender what happened.
    pub(super) fn take_in(&mut self, slot: usize, news: News) {
        let event = match news {
            News::Answered(exchange, answer, second) => self.answered(slot, exchange, Some(answer), second),
            News::GivenUp(exchange) => self.answered(slot, exchange, None, None),
            News::Ended(number, outcome) => self.ended(slot, number, outcome),
            News::Module => self.module(slot),
            News::Stop => Some(Event::Stop),
            News::GiveBack => Some(Event::GiveBack),
        };
        let now = self.now;
        if let (Some(agent), Some(event)) = (self.agents[slot].as_mut(), event) {
            let is_stale = self.broken == Some(Broken::StaleNow) && matches!(event, Event::Replaced(_));
            let seen_at = if is_stale { agent.asked_at } else { now };
            agent.contender.handle(agent.now(seen_at), event);
        }
    }

    fn module(&self, slot: usize) -> Option<Event> {
        let agent = self.agents[slot].as_ref()?;
        Some(Event::Module((agent.without_until <= self.now).then(|| agent.module.to_owned())))
    }

    /// An answer, or none in time, to what is under way.
    fn answered(&mut self, slot: usize, exchange: u64, answer: Option<Answer>, second: Option<u64>) -> Option<Event> {
        let now = self.now;
        let agent = self.agents[slot].as_mut()?;
        let start = agent.start;
        let Some((_, question)) = agent.exchange.take_if(|(number, _)| *number == exchange) else {
            if answer.is_some() && agent.exchange.is_some() {
                self.faults.count(Fault::ReorderedAnswer);
            }
            return None;
        };
        if let Some(second) = second {
            agent.clock.saw(agent.asked_at, now, second);
        }
        self.tell(&Happening::Answered { agent: start });
        let answer = answer.unwrap_or_else(|| silence(&question));
        match answer {
            Answer::Read(seen) => Some(Event::Read(seen)),
            Answer::Replaced(outcome) => Some(Event::Replaced(self.distort(slot, outcome, &question))),
        }
    }

    /// What a broken agent makes of an answer.
    fn distort(
        &mut self,
        slot: usize,
        outcome: Result<Replaced, String>,
        question: &Question,
    ) -> Result<Replaced, String> {
        match (self.broken, outcome, question) {
            (Some(Broken::UnknownIsWon), Ok(Replaced::Unknown(_)), Question::Replace { record, .. }) => {
                let alone = soloist::arbiter::memory::Memory::default();
                Ok(alone.swap(&soloist::round::Revision::Absent, &record.encode()))
            }
            (Some(Broken::UncheckedRenewal), Ok(Replaced::Conflict), Question::Replace { record, .. })
                if record.state.is_running() && self.agents[slot].as_ref().is_some_and(|agent| agent.run.is_some()) =>
            {
                let alone = soloist::arbiter::memory::Memory::default();
                Ok(alone.swap(&soloist::round::Revision::Absent, &record.encode()))
            }
            (Some(Broken::RefusedIsLost), Ok(Replaced::Conflict), _) => {
                let (rules, seed, now) = (self.options.rules(), self.rng.random(), self.now);
                if let Some(agent) = self.agents[slot].as_mut().filter(|agent| agent.run.is_none()) {
                    // It forgets what it wrote.
                    let now = agent.now(now);
                    agent.contender = Contender::new(format!("a{slot}-{seed:x}"), rules, seed, now);
                    agent.contender.handle(now, Event::Module(Some(agent.module.to_owned())));
                    let id = format!("a{slot}-{seed:x}");
                    let start = agent.start;
                    self.tell(&Happening::Began { agent: start, id });
                }
                Ok(Replaced::Conflict)
            }
            (_, outcome, _) => outcome,
        }
    }

    fn ended(&mut self, slot: usize, number: u64, outcome: Outcome) -> Option<Event> {
        let now = self.now;
        let agent = self.agents[slot].as_mut()?;
        let run = agent.run.take_if(|run| run.number == number)?;
        // What acts after its lease is stopped by the runtime; what had done all it wanted is not.
        let is_stopped = run.lease_until <= now && self.rng.random_bool(0.5);
        let outcome = if is_stopped { Outcome::Stopped } else { outcome };
        let start = agent.start;
        // Whatever comes of it, the run has counted on.
        let ended = Ended { outcome, change: Change::To(counted(run.data.as_ref())) };
        agent.hoard = counted(run.data.as_ref());
        self.tell(&Happening::Stopped { agent: start, fence: run.fence, how: Stopped::Ended(ended.clone()) });
        (self.broken != Some(Broken::Deaf)).then_some(Event::Ended(ended))
    }
}
