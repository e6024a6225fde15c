//! What happens when a request reaches the arbiter.

use soloist::round::{Observation, Record, Replaced, Revision};

use super::{Due, World};
use crate::agent::News;
use crate::broken::Broken;
use crate::faults::Fault;
use crate::history::{Happening, Written};
use crate::network::{Answer, Question, Reply, Request};
use crate::options::EPOCH;

impl World {
    /// A request reaches the arbiter.
    pub(super) fn arrive(&mut self, request: &Request) {
        let is_waited_for = self.note_the_order(request);
        let answer = match &request.question {
            Question::Read if request.reply == Reply::Old => {
                Answer::Read(Ok(self.network.arbiter.observe_old(self.now).clone()))
            }
            Question::Read => Answer::Read(Ok(self.network.arbiter.observe().clone())),
            Question::Replace { expected, record, value } => {
                if self.comes_from_before_a_hand(request, expected, record) {
                    return;
                }
                let outcome = self.replace(expected, record, value);
                if matches!(outcome, Replaced::Applied(_)) {
                    match request.reply {
                        _ if !is_waited_for => self.faults.count(Fault::AppliedLate),
                        Reply::Nothing | Reply::Failure => self.faults.count(Fault::UnknownApplied),
                        _ => {}
                    }
                }
                Answer::Replaced(Ok(outcome))
            }
        };
        if self.agent(request.slot, request.from).is_some() && !self.may_crash(request.slot, Fault::CrashArrived) {
            self.reply(request, answer);
        }
    }

    fn reply(&mut self, request: &Request, answer: Answer) {
        let second = Some(EPOCH + self.now / 1000);
        let news = |answer| Due::News(request.slot, request.from, News::Answered(request.exchange, answer, second));
        let back = self.network.latency();
        match request.reply {
            Reply::Answer | Reply::Old => self.plan(back, news(answer)),
            Reply::Late => {
                let late = self.network.lateness();
                self.plan(late, news(answer));
            }
            Reply::Twice => {
                let again = self.network.lateness();
                self.plan(back, news(answer.clone()));
                self.plan(back + again, news(answer));
            }
            Reply::Failure => {
                self.plan(back, news(Answer::Replaced(Ok(Replaced::Unknown("server failure".to_owned())))));
            }
            Reply::Nothing => {}
        }
    }

    /// Whether its agent still waits for the answer.
    fn note_the_order(&mut self, request: &Request) -> bool {
        let Some(agent) = self.agent(request.slot, request.from) else { return false };
        let is_overtaken = request.exchange < agent.arrived;
        agent.arrived = agent.arrived.max(request.exchange);
        let is_waited_for = agent.exchange.as_ref().is_some_and(|(number, _)| *number == request.exchange);
        if is_overtaken {
            self.faults.count(Fault::ReorderedRequest);
        }
        is_waited_for
    }

    /// A creation that was on its way while the record that was there instead was run and deleted brings back a due time
    /// that has passed. Nobody can know; only a hand that deletes records makes it happen.
    fn comes_from_before_a_hand(&self, request: &Request, expected: &Revision, record: &Record) -> bool {
        let is_past = record.timer * 1000 <= EPOCH * 1000 + self.now + self.options.skew_ms;
        *expected == Revision::Absent && request.sent < self.last_hand && is_past
    }

    fn replace(&mut self, expected: &Revision, record: &Record, value: &[u8]) -> Replaced {
        if self.network.stubborn_until > self.now {
            return Replaced::Conflict;
        }
        if self.broken == Some(Broken::CompareThenWrite) {
            let is_equal = self.network.arbiter.observe().revision == *expected;
            return self.compare_then_write(is_equal, record);
        }
        let is_unconditional = self.options.settle.is_some()
            || self.broken == Some(Broken::UnconditionalWrite)
            || self.broken == Some(Broken::UnconditionalEnd) && !record.state.is_running();
        let current = is_unconditional.then(|| self.network.arbiter.observe().revision.clone());
        let expected = current.as_ref().unwrap_or(expected);
        let (outcome, before) = self.network.arbiter.swap(self.now, expected, value);
        if let Some(before) = before {
            self.written(&before, record.clone());
        }
        outcome
    }

    pub(super) fn written(&mut self, before: &Observation, new: Record) {
        self.written += 1;
        let written = Written { old: before.opened(&self.seal).ok().flatten(), is_over_a_hand: self.is_a_hands, new };
        self.is_a_hands = false;
        self.tell(&Happening::Written(written));
    }
}
