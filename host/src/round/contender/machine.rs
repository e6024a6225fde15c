//! The state machine itself.

use std::collections::VecDeque;
use std::mem;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::verdict::{Verdict, verdict};
use super::{Action, Event, Halt, Notice, Now, Rules, compose};
use crate::round::{Fence, Observation, Outcome, Record, Replaced, Revision, State};

/// The waits between attempts to reach an arbiter that fails.
const TROUBLE: super::Backoff = super::Backoff { base_ms: 100, cap_ms: 5_000 };

/// One agent's part in one job's rounds.
#[derive(Debug)]
pub struct Contender {
    rules: Rules,
    id: String,
    rng: SmallRng,
    module: Option<String>,
    phase: Phase,
    run: Option<Run>,
    /// The last fence that was handed to a run, which tells a claim that never started from one that did.
    started: Option<Fence>,
    /// The highest fence that was seen and was due: never claimed again, whatever a hand writes.
    highest: Option<Fence>,
    /// Failures to reach the arbiter, in a row.
    troubles: u32,
    stop: Stop,
    actions: VecDeque<Action>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    /// Take no more rounds.
    Asked,
    /// And give back what is held.
    GiveBack,
    Done,
}

#[derive(Debug)]
enum Phase {
    /// Nothing is under way; look at the record at this moment.
    Sleeping { until_ms: u64 },
    /// The record is being read.
    Reading,
    /// A replacement is being asked for.
    Writing(Bid),
    /// It is unknown whether a replacement happened; ask at this moment.
    Unsure { bid: Bid, until_ms: u64 },
    /// The record is being read, to learn what came of a replacement.
    Checking(Bid),
    /// A run is under way, and the arbiter is left in peace.
    Holding,
}

/// One conditional replacement, until its outcome is known.
#[derive(Debug, Clone)]
struct Bid {
    intent: Intent,
    expected: Revision,
    record: Record,
    /// What the record said before.
    from: Option<Record>,
    /// Until when the lease that it asks for stands.
    lease_until_ms: u64,
    /// An earlier copy may have been applied, or may yet be: a refusal does not say that it was lost.
    doubtful: bool,
    /// The last answer was a refusal.
    refused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intent {
    Create,
    Claim,
    Renew,
    Finish,
    Free,
    Close,
}

/// A claim of ours that was won.
#[derive(Debug)]
struct Run {
    fence: Fence,
    revision: Revision,
    record: Record,
    lease_until_ms: u64,
    renew_at_ms: Option<u64>,
    ended: Option<Outcome>,
}

impl Contender {
    /// A contender that looks at the record at once. `id` must be unique to this start of this process; equal
    /// seeds and equal events give equal actions.
    pub fn new(id: String, rules: Rules, seed: u64, now: Now) -> Self {
        Self {
            rules,
            id,
            rng: SmallRng::seed_from_u64(seed),
            module: None,
            phase: Phase::Sleeping { until_ms: now.mono_ms },
            run: None,
            started: None,
            highest: None,
            troubles: 0,
            stop: Stop::No,
            actions: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Now, event: Event) {
        match event {
            Event::Read(seen) => self.on_read(now, seen),
            Event::Replaced(outcome) => self.on_replaced(now, outcome),
            Event::Ended(outcome) => {
                if let Some(run) = &mut self.run {
                    run.ended = Some(outcome);
                }
            }
            Event::Module(module) => {
                // A round may be waiting for one.
                if self.module.is_none() && module.is_some() && matches!(self.phase, Phase::Sleeping { .. }) {
                    self.phase = Phase::Sleeping { until_ms: now.mono_ms };
                }
                self.module = module;
            }
            Event::Stop if self.stop == Stop::No => self.stop = Stop::Asked,
            Event::GiveBack if self.stop != Stop::Done => self.stop = Stop::GiveBack,
            Event::Time | Event::Stop | Event::GiveBack => {}
        }
        self.advance(now);
    }

    /// What to do next; none when all is done for now.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`handle`](Self::handle) with [`Event::Time`] unless something happens before: a moment on the
    /// monotonic clock, in milliseconds.
    pub fn poll_timeout(&self) -> Option<u64> {
        let own = match &self.phase {
            Phase::Sleeping { until_ms } | Phase::Unsure { until_ms, .. } => Some(*until_ms),
            Phase::Reading | Phase::Writing(_) | Phase::Checking(_) | Phase::Holding => None,
        };
        let run = self.run.as_ref().filter(|run| run.ended.is_none()).map(|run| match (&self.phase, run.renew_at_ms) {
            (Phase::Holding, Some(renew_at_ms)) => run.lease_until_ms.min(renew_at_ms),
            _ => run.lease_until_ms,
        });
        match (own, run) {
            (Some(own), Some(run)) => Some(own.min(run)),
            (own, run) => own.or(run),
        }
        .filter(|_| self.stop != Stop::Done)
    }

    /// The fence that we hold, if any.
    pub fn holds(&self) -> Option<Fence> {
        self.run.as_ref().map(|run| run.fence)
    }

    /// Does what has become due.
    fn advance(&mut self, now: Now) {
        if self.stop == Stop::Done {
            return;
        }
        self.stop_a_run_without_lease(now);
        if self.stop == Stop::GiveBack && self.run.as_ref().is_some_and(|run| run.ended.is_none()) {
            self.give_back_the_run(now);
        }
        match &self.phase {
            Phase::Sleeping { .. } if self.stop != Stop::No => self.done(),
            Phase::Sleeping { until_ms } if *until_ms <= now.mono_ms => self.read(),
            Phase::Unsure { until_ms, .. } if *until_ms <= now.mono_ms => {
                if let Phase::Unsure { bid, .. } = mem::replace(&mut self.phase, Phase::Reading) {
                    self.look_for(bid);
                }
            }
            Phase::Holding => self.advance_run(now),
            _ => {}
        }
    }

    fn stop_a_run_without_lease(&mut self, now: Now) {
        if self.run.as_ref().is_some_and(|run| run.ended.is_none() && run.lease_until_ms <= now.mono_ms) {
            self.run = None;
            self.actions.push_back(Action::Halt(Halt::Lapsed));
            if matches!(self.phase, Phase::Holding) {
                self.read();
            }
        }
    }

    fn give_back_the_run(&mut self, now: Now) {
        let Some(run) = self.run.take() else { return };
        self.actions.push_back(Action::Halt(Halt::Shutdown));
        // While a renewal is under way its outcome decides what there is to give back: it is waited for.
        if matches!(self.phase, Phase::Holding) {
            self.give_back(now, run.revision, run.record);
        }
    }

    fn give_back(&mut self, now: Now, expected: Revision, claim: Record) {
        let record = compose::free(&claim, now);
        self.bid(Intent::Free, expected, record, Some(claim), now.mono_ms);
    }

    /// Ends or gives back a claim of ours that stands while nothing runs for it.
    fn clear(&mut self, now: Now, expected: Revision, claim: Record) {
        // Only what never started, or was stopped for the agent's sake, counts as no attempt.
        if claim.fence != self.started || self.stop == Stop::GiveBack {
            self.give_back(now, expected, claim);
        } else {
            self.finish(now, expected, claim, Outcome::Stopped);
        }
    }

    fn advance_run(&mut self, now: Now) {
        match &self.run {
            None => self.read(),
            Some(run) if run.ended.is_some() => {
                if let Some(run) = self.run.take() {
                    self.finish(now, run.revision, run.record, run.ended.unwrap_or(Outcome::Stopped));
                }
            }
            Some(run) if run.renew_at_ms.is_some_and(|at| at <= now.mono_ms) => {
                let (expected, old) = (run.revision.clone(), run.record.clone());
                let elapsed_ms = (now.mono_ms + self.rules.lease_ms).saturating_sub(run.lease_until_ms);
                let record = compose::renewal(&old, elapsed_ms, &self.rules, now);
                self.bid(Intent::Renew, expected, record, Some(old), now.mono_ms + self.rules.lease_ms);
            }
            Some(_) => {}
        }
    }

    fn finish(&mut self, now: Now, expected: Revision, claim: Record, outcome: Outcome) {
        let attempt = claim.fence.map_or(1, |fence| fence.attempt.saturating_sub(claim.returned));
        let record = compose::end(&claim, outcome, self.rules.backoff.after(attempt), &self.rules, now);
        self.bid(Intent::Finish, expected, record, Some(claim), now.mono_ms);
    }

    fn done(&mut self) {
        self.stop = Stop::Done;
        self.actions.push_back(Action::Done);
    }

    fn read(&mut self) {
        self.phase = Phase::Reading;
        self.actions.push_back(Action::Read);
    }

    fn bid(&mut self, intent: Intent, expected: Revision, record: Record, from: Option<Record>, lease_until_ms: u64) {
        self.ask(Bid { intent, expected, record, from, lease_until_ms, doubtful: false, refused: false });
    }

    fn ask(&mut self, mut bid: Bid) {
        bid.refused = false;
        self.actions.push_back(Action::Replace { expected: bid.expected.clone(), record: bid.record.clone() });
        self.phase = Phase::Writing(bid);
    }

    /// Reads the record to learn what came of a replacement.
    fn look_for(&mut self, bid: Bid) {
        self.phase = Phase::Checking(bid);
        self.actions.push_back(Action::Read);
    }

    fn notice(&mut self, notice: Notice) {
        self.actions.push_back(Action::Notice(notice));
    }

    /// Sleeps for `ms`, or less where the record should be looked at before.
    fn sleep(&mut self, now: Now, ms: u64) {
        self.phase = Phase::Sleeping { until_ms: now.mono_ms + ms.min(self.rules.reread_ms) };
    }

    fn trouble(&mut self) -> u64 {
        self.troubles = self.troubles.saturating_add(1);
        let wait = TROUBLE.after(self.troubles);
        // Half of it is drawn, so that a thousand agents do not return in the same millisecond.
        wait / 2 + self.rng.random_range(0..=wait / 2)
    }

    fn on_read(&mut self, now: Now, seen: Result<Observation, String>) {
        match mem::replace(&mut self.phase, Phase::Holding) {
            Phase::Reading => match seen {
                Ok(observation) => {
                    self.troubles = 0;
                    self.decide(now, &observation);
                }
                Err(reason) => {
                    self.notice(Notice::ReadFailed(reason));
                    let wait = self.trouble();
                    self.sleep(now, wait);
                }
            },
            Phase::Checking(bid) => match seen {
                Ok(observation) => self.check(now, bid, &observation),
                Err(reason) => {
                    self.notice(Notice::ReadFailed(reason));
                    let until_ms = now.mono_ms + self.trouble();
                    self.phase = Phase::Unsure { bid, until_ms };
                }
            },
            other => self.phase = other,
        }
    }

    /// What to do about the record as it stands, when we hold nothing.
    fn decide(&mut self, now: Now, observation: &Observation) {
        let seen = observation.record();
        if let Ok(Some(record)) = &seen
            && record.id == self.id
            && record.state == State::Running
        {
            // A run that was stopped, or a claim that was given up as unknown and was applied after all.
            return self.clear(now, observation.revision.clone(), record.clone());
        }
        if self.stop != Stop::No {
            return self.done();
        }
        let record = match seen {
            Ok(Some(record)) => record,
            Ok(None) => {
                let record = compose::first_record(&self.id, &self.rules, self.highest, now);
                return self.bid(Intent::Create, Revision::Absent, record, None, now.mono_ms);
            }
            Err(unreadable) => return self.unreadable(now, unreadable),
        };
        let verdict = verdict(&record, self.highest, &self.rules, now.wall_seconds());
        // A round that is not due yet can only be a hand's, and is forgotten when the hand takes it back.
        self.highest = self.highest.max(record.fence.filter(|fence| fence.round <= now.wall_seconds()));
        match verdict {
            Err(unreadable) => self.unreadable(now, unreadable),
            Ok(Verdict::Wait(until)) => self.sleep_until(now, until),
            Ok(Verdict::Close(fence)) => {
                let closed = compose::close(&record, fence, &self.id, &self.rules);
                self.bid(Intent::Close, observation.revision.clone(), closed, Some(record), now.mono_ms);
            }
            Ok(Verdict::Claim(_)) if self.module.is_none() => {
                self.notice(Notice::NoModule);
                let next = self.rules.schedule.after(now.wall_seconds());
                self.sleep_until(now, next);
            }
            Ok(Verdict::Claim(fence)) => {
                let claim = compose::claim(&record, fence, &self.id, self.module.as_deref(), &self.rules, now);
                let lease_until_ms = now.mono_ms + self.rules.lease_ms;
                self.bid(Intent::Claim, observation.revision.clone(), claim, Some(record), lease_until_ms);
            }
        }
    }

    fn unreadable(&mut self, now: Now, unreadable: crate::round::Unreadable) {
        self.notice(Notice::Unreadable(unreadable));
        let next = self.rules.schedule.after(now.wall_seconds());
        self.sleep_until(now, next);
    }

    /// Sleeps until the wall clock shows `until` or the next due time, whichever is earlier, and a little longer.
    ///
    /// The next due time counts even while somebody else's lease stands for longer: it may have ended its run early.
    fn sleep_until(&mut self, now: Now, until: u64) {
        let next = self.rules.schedule.after(now.wall_seconds());
        let wait = now.mono_at(until.min(next)) - now.mono_ms;
        let spread = self.rng.random_range(0..=self.rules.spread_ms);
        self.sleep(now, wait + spread);
    }

    fn on_replaced(&mut self, now: Now, outcome: Result<Replaced, String>) {
        let mut bid = match mem::replace(&mut self.phase, Phase::Holding) {
            Phase::Writing(bid) => bid,
            other => return self.phase = other,
        };
        match outcome {
            Ok(Replaced::Applied(revision)) => self.applied(now, bid, revision),
            // Somebody else has the round: nothing is asked before the run is stopped.
            Ok(Replaced::Conflict) if bid.intent == Intent::Renew && !bid.doubtful => {
                self.lost(&bid);
                self.read();
            }
            // Or the request arrived twice, and the second copy was refused because the first one was applied.
            Ok(Replaced::Conflict) => {
                bid.refused = true;
                self.look_for(bid);
            }
            Ok(Replaced::Unknown(reason)) => {
                bid.doubtful = true;
                self.notice(Notice::Unknown(reason));
                // The first time at once; an arbiter that goes on like this is left in peace for a while.
                let wait = if self.troubles == 0 { 0 } else { self.trouble() };
                self.troubles = self.troubles.max(1);
                self.phase = Phase::Unsure { bid, until_ms: now.mono_ms + wait };
            }
            // Nothing was written, so the same may be asked again, once the arbiter is back.
            Err(reason) => {
                self.notice(Notice::WriteFailed(reason));
                let until_ms = now.mono_ms + self.trouble();
                self.phase = Phase::Unsure { bid, until_ms };
            }
        }
    }

    /// A read tells what came of a replacement that was refused or of unknown outcome.
    fn check(&mut self, now: Now, mut bid: Bid, observation: &Observation) {
        if observation.is(&bid.record) {
            self.applied(now, bid, observation.revision.clone());
        } else if observation.revision != bid.expected {
            self.lost(&bid);
            self.decide(now, observation);
        } else if bid.refused {
            bid.refused = false;
            self.notice(Notice::WriteFailed("it was refused, although the record is what it was".to_owned()));
            let until_ms = now.mono_ms + self.trouble();
            self.phase = Phase::Unsure { bid, until_ms };
        } else if bid.intent == Intent::Claim && (self.is_late(&bid, now) || self.stop != Stop::No) {
            // No use for this very claim any more. Should it be applied after all, it is seen as ours and given back.
            self.decide(now, observation);
        } else if bid.intent == Intent::Renew && self.run.is_none() {
            // The run that it was for was stopped.
            self.decide(now, observation);
        } else {
            // The identical replacement, so that an earlier copy on its way can do no harm.
            self.ask(bid);
        }
    }

    /// Whether a claim leaves too little time for the job by now.
    fn is_late(&self, claim: &Bid, now: Now) -> bool {
        claim.lease_until_ms.saturating_sub(now.mono_ms) < self.rules.lease_ms / 2
    }

    fn applied(&mut self, now: Now, bid: Bid, revision: Revision) {
        self.troubles = 0;
        let observation = Observation { revision, values: vec![bid.record.encode()] };
        let fence = bid.record.fence.unwrap_or(Fence { round: bid.record.timer, attempt: 1 });
        match bid.intent {
            Intent::Claim => return self.won(now, bid, observation.revision, fence),
            Intent::Renew => return self.renewed(now, bid, observation.revision, fence),
            Intent::Create => self.notice(Notice::Created { due: bid.record.timer }),
            Intent::Finish => {
                let outcome = bid.record.outcome.clone().unwrap_or(Outcome::Ok);
                let retry = bid.record.state == State::Retry;
                self.notice(Notice::Finished { fence, outcome, timer: bid.record.timer, retry });
            }
            Intent::Free => self.notice(Notice::Freed { fence }),
            Intent::Close => self.notice(Notice::Closed { fence }),
        }
        // What was written is what stands there.
        self.decide(now, &observation);
    }

    fn won(&mut self, now: Now, bid: Bid, revision: Revision, fence: Fence) {
        if self.stop != Stop::No || self.is_late(&bid, now) {
            return self.give_back(now, revision, bid.record);
        }
        let from = bid.from.as_ref().filter(|old| old.state != State::Idle).map(|old| old.id.clone());
        self.notice(Notice::Won { fence, from });
        self.started = Some(fence);
        let previous = bid.record.outcome.clone();
        self.actions.push_back(Action::Start { fence, lease_until_ms: bid.lease_until_ms, previous });
        self.hold(fence, revision, bid.record, bid.lease_until_ms, None);
    }

    fn renewed(&mut self, now: Now, bid: Bid, revision: Revision, fence: Fence) {
        let Some(run) = self.run.take() else {
            // The run was stopped before this renewal was known to have come through.
            return self.clear(now, revision, bid.record);
        };
        self.notice(Notice::Renewed { fence });
        if run.ended.is_none() {
            self.actions.push_back(Action::Extend { lease_until_ms: bid.lease_until_ms });
        }
        self.hold(fence, revision, bid.record, bid.lease_until_ms, run.ended);
        self.advance(now);
    }

    fn hold(&mut self, fence: Fence, revision: Revision, record: Record, lease_until_ms: u64, ended: Option<Outcome>) {
        let begun_ms = lease_until_ms.saturating_sub(self.rules.lease_ms);
        let renew_at_ms = self.rules.renew_ms.map(|after| begun_ms + after);
        self.run = Some(Run { fence, revision, record, lease_until_ms, renew_at_ms, ended });
        self.phase = Phase::Holding;
    }

    /// A replacement did not happen: the arbiter holds another record.
    fn lost(&mut self, bid: &Bid) {
        let fence = bid.record.fence.unwrap_or(Fence { round: bid.record.timer, attempt: 1 });
        match bid.intent {
            Intent::Claim => self.notice(Notice::Lost { fence }),
            Intent::Finish => self.notice(Notice::Superseded { fence }),
            Intent::Renew => {
                if let Some(run) = self.run.take() {
                    if run.ended.is_none() {
                        self.actions.push_back(Action::Halt(Halt::Superseded));
                    }
                    self.notice(Notice::Superseded { fence });
                }
            }
            Intent::Create | Intent::Free | Intent::Close => {}
        }
    }
}
