//! What is broken on purpose, where an agent or the arbiter is broken.

use rand::Rng;
use soloist::round::contender::{Delivery, Missed, Rules};
use soloist::round::{Data, Outcome, Record, Replaced, State};

use super::{Due, World};
use crate::agent::Run;
use crate::broken::Broken;
use crate::checkers::number;
use crate::network::Question;
use crate::options::EPOCH;

/// What a run makes of the job's text: one more.
pub(super) fn counted(data: Option<&Data>) -> Option<Data> {
    Data::new((number(data) + 1).to_string()).ok()
}

impl World {
    /// The rules of an agent.
    pub(super) fn rules(&self, slot: usize) -> Rules {
        let rules = self.options.rules();
        match self.broken.filter(|_| slot % 2 == 1) {
            Some(Broken::FewerAttempts) => Rules { attempts: 1, ..rules },
            Some(Broken::AlwaysRepeats) => Rules { delivery: Delivery::AtLeastOnce, ..rules },
            Some(Broken::AnyModule) => Rules { same_module: false, ..rules },
            Some(Broken::OtherMissed) => match rules.missed {
                Missed::CatchUp { .. } => Rules { missed: Missed::RunOnce, ..rules },
                _ => Rules { missed: Missed::CatchUp { most: 9 }, ..rules },
            },
            _ => rules,
        }
    }

    /// What a broken agent asks instead.
    pub(super) fn distort_question(&self, question: Question) -> Question {
        let Question::Replace { expected, mut record, value } = question else { return question };
        match self.broken {
            Some(Broken::CountsFromTheEnd) if record.state == State::Idle && record.fence.is_some() => {
                record.timer = EPOCH + self.now / 1000 + self.options.every;
            }
            Some(Broken::CommitsFailures)
                if !record.state.is_running()
                    && record.outcome.as_ref().is_some_and(|outcome| *outcome != Outcome::Ok) =>
            {
                record.data = counted(record.data.as_ref());
            }
            Some(Broken::DropsState) if record.state.is_running() => record.data = None,
            Some(Broken::Forgetful) => {
                record.paused = None;
                record.wanted = None;
                record.extra.clear();
            }
            _ => return Question::Replace { expected, record, value },
        }
        let value = self.seal.seal(&record);
        Question::Replace { expected, record, value }
    }

    /// A run that was stopped writes its text, whatever stands there.
    pub(super) fn commit_alone(&mut self, run: &Run) {
        let stands = self.network.arbiter.observe().opened(&self.seal).ok().flatten();
        if let Some(record) = stands.filter(|_| self.broken == Some(Broken::CommitsAlone)) {
            self.write(&Record { data: counted(run.data.as_ref()), ..record });
        }
    }

    /// An agent goes on after it stood still.
    pub(super) fn slept(&mut self, slot: usize) {
        let now = self.now;
        if self.broken == Some(Broken::SleepingClock)
            && let Some(agent) = self.agents[slot].as_mut()
        {
            agent.clock.stood_still(now - agent.paused_at);
        }
    }

    /// Compares now, and writes a little later.
    pub(super) fn compare_then_write(&mut self, is_equal: bool, record: &Record) -> Replaced {
        if !is_equal {
            return Replaced::Conflict;
        }
        let after = self.rng.random_range(1..=5);
        self.plan(after, Due::Write(Box::new(record.clone())));
        let alone = soloist::arbiter::memory::Memory::default();
        alone.swap(&soloist::round::Revision::Absent, &record.encode())
    }

    /// Writes whatever stands there.
    pub(super) fn write(&mut self, record: &Record) {
        let expected = self.network.arbiter.observe().revision.clone();
        let (_, before) = self.network.arbiter.swap(self.now, &expected, &self.seal.seal(record));
        if let Some(before) = before {
            self.written(&before, record.clone());
        }
    }
}
