//! What an agent makes of the arbiter's answers.

use std::mem;

use rand::Rng;

use super::super::compose::{self, Lease};
use super::super::verdict::{Verdict, verdict};
use super::super::{Action, Ended, Halt, Notice, Now};
use super::{Bid, Contender, Intent, Phase, Run, Stop, TROUBLE};
use crate::round::{Fence, Observation, Outcome, Record, Replaced, Revision, State, Unreadable};

/// How long an agent looks away from the run of another one, at least.
const WATCH_MS: u64 = 1_000;

impl Contender {
    pub(super) fn on_read(&mut self, now: Now, seen: Result<Observation, String>) {
        // What was seen is too old to overwrite anything on its word.
        let seen = match seen {
            Ok(_) if self.is_slow(now) => Err("it took too long for what its arbiter promises".to_owned()),
            seen => seen,
        };
        match mem::replace(&mut self.phase, Phase::Holding) {
            Phase::Confirming(settling) => self.confirm(now, settling, seen),
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
                // Somebody else may have the round: a run does not go on in doubt about that.
                Err(reason) if bid.intent == Intent::Renew && bid.refused && self.is_running() => {
                    self.notice(Notice::ReadFailed(reason));
                    self.lost(&bid);
                    let wait = self.trouble();
                    self.sleep(now, wait);
                }
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
    pub(super) fn decide(&mut self, now: Now, observation: &Observation) {
        if self.is_slow(now) {
            // What was written, and is known to stand there, was read long before.
            return self.read(now);
        }
        let seen = self.opened(observation);
        if let Ok(Some(record)) = &seen {
            self.count(record);
        }
        if let Ok(Some(record)) = &seen
            && record.id == self.id
            && record.state.is_running()
            && (record.fence.is_none() || record.fence != self.abandoned)
        {
            // A run that was stopped, or a claim that was given up as unknown and was applied after all. It is never bid for
            // again, whatever an old copy of the record says.
            self.highest = self.highest.max(record.fence.filter(|fence| fence.round <= now.wall_seconds()));
            return self.clear(now, observation.revision.clone(), record.clone());
        }
        if self.stop != Stop::No {
            return self.done();
        }
        let record = match seen {
            Ok(Some(record)) => record,
            Ok(None) => {
                let record = compose::first_record(&self.id, &self.rules, self.highest, now);
                return self.bid(Intent::Create, Revision::Absent, record, None, now, now.mono_ms);
            }
            Err(unreadable) => return self.unreadable(now, unreadable),
        };
        let verdict = verdict(&record, self.highest, &self.rules, now.wall_seconds());
        // A round that is not due yet can only be a hand's, and is forgotten when the hand takes it back.
        self.highest = self.highest.max(record.fence.filter(|fence| fence.round <= now.wall_seconds()));
        self.tell_pause(&record);
        let is_held_back = self.is_held_back(&record);
        match verdict {
            Err(unreadable) => self.unreadable(now, unreadable),
            Ok(Verdict::Wait(until)) => {
                self.refusals = 0;
                self.sleep_until(now, until);
                let is_under_way = record.state == State::Running && record.timer > now.wall_seconds();
                // What is older than what was seen before may be a copy that is behind.
                if is_under_way || record.fence < self.highest {
                    self.watch(now);
                }
            }
            Ok(Verdict::Close(fence)) => {
                let closed = compose::close(&record, fence, &self.id, &self.rules);
                self.bid(Intent::Close, observation.revision.clone(), closed, Some(record), now, now.mono_ms);
            }
            Ok(Verdict::Claim(_)) if self.module.is_none() => {
                self.notice(Notice::NoModule);
                let next = self.rules.schedule.after(now.wall_seconds());
                self.sleep_until(now, next);
            }
            Ok(Verdict::Claim(_)) if is_held_back => {
                let next = self.rules.schedule.after(now.wall_seconds());
                self.sleep_until(now, next);
            }
            Ok(Verdict::Claim(fence)) => {
                let lease = Lease::from(now, &self.rules);
                let claim = compose::claim(&record, fence, &self.id, self.module.as_deref(), lease, &self.rules, now);
                self.bid(Intent::Claim, observation.revision.clone(), claim, Some(record), now, lease.until_ms);
            }
        }
    }

    /// The record that was seen: one that its seal opens, and no older one that was put back.
    fn opened(&self, observation: &Observation) -> Result<Option<Record>, Unreadable> {
        let seal = &self.rules.seal;
        observation.opened(seal).and_then(|record| seal.not_older(record, self.newest))
    }

    /// From now on, a record with a lower count is an older one.
    fn count(&mut self, record: &Record) {
        self.newest = self.newest.max(record.count.unwrap_or(0));
    }

    /// Whether the record names another module than ours, and only that one may run; tells of it once.
    fn is_held_back(&mut self, record: &Record) -> bool {
        let Some(held) = self.module.as_ref().filter(|_| self.rules.same_module) else { return false };
        let Some(wanted) = record.wanted().filter(|wanted| wanted != held) else {
            self.waits_for = None;
            return false;
        };
        let waits_for = (wanted.to_owned(), held.clone());
        if self.waits_for.as_ref() != Some(&waits_for) {
            let (wanted, held) = waits_for.clone();
            self.waits_for = Some(waits_for);
            self.notice(Notice::OtherModule { held, wanted });
        }
        true
    }

    /// Tells of a pause when it begins, when its reason changes and when it ends.
    fn tell_pause(&mut self, record: &Record) {
        if record.paused == self.pause {
            return;
        }
        self.pause.clone_from(&record.paused);
        self.notice(match &record.paused {
            Some(reason) => Notice::Paused { reason: reason.clone() },
            None => Notice::Resumed,
        });
    }

    fn unreadable(&mut self, now: Now, unreadable: Unreadable) {
        self.notice(Notice::Unreadable(unreadable));
        let next = self.rules.schedule.after(now.wall_seconds());
        self.sleep_until(now, next);
    }

    /// Sleeps less while somebody's run is under way: it may be given back, or end in a retry, long before its lease does.
    ///
    /// Every agent draws its own wait, so that of many the first one looks soon, and the arbiter is not asked in waves.
    fn watch(&mut self, now: Now) {
        let most = now.mono_ms + self.drawn(self.rules.lease_ms / 4).max(WATCH_MS);
        if let Phase::Sleeping { until_ms } = &mut self.phase {
            *until_ms = most.min(*until_ms);
        }
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

    pub(super) fn on_replaced(&mut self, now: Now, outcome: Result<Replaced, String>) {
        let mut bid = match mem::replace(&mut self.phase, Phase::Holding) {
            Phase::Writing(bid) => bid,
            other => return self.phase = other,
        };
        match outcome {
            Ok(Replaced::Applied(revision)) => self.applied(now, bid, revision),
            // Somebody else has the round, or an operator wrote beside our claim. Or the request arrived twice, and the second copy was refused because the first one was applied.
            Ok(Replaced::Conflict) => {
                bid.refused = true;
                self.look_for(now, bid);
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
        if observation.is(&bid.value) {
            self.applied(now, bid, observation.revision.clone());
        } else if observation.revision != bid.expected {
            if let Some(bid) = self.steered(now, &bid, observation) {
                return self.ask(bid);
            }
            self.lost(&bid);
            self.refusals = if bid.refused { self.refusals.saturating_add(1) } else { 0 };
            if self.refusals > 1 {
                // What is read and what is compared may be two copies: the next bid is not made at once.
                let wait = self.drawn(TROUBLE.after(self.refusals));
                return self.sleep(now, wait);
            }
            self.decide(now, observation);
        } else if bid.refused {
            bid.refused = false;
            self.notice(Notice::WriteFailed("it was refused, although the record is what it was".to_owned()));
            let until_ms = now.mono_ms + self.trouble();
            self.phase = Phase::Unsure { bid, until_ms };
        } else if bid.intent == Intent::Claim && (Self::is_late(&bid, now) || self.stop != Stop::No) {
            // No use for this very claim any more. Should it be applied after all, it is seen as ours and given back.
            self.decide(now, observation);
        } else if bid.intent == Intent::Create && bid.record.timer <= now.wall_seconds() {
            // Its first round may have been run by now, from a record that was deleted since.
            self.decide(now, observation);
        } else if bid.intent == Intent::Renew && self.run.is_none() {
            // The run that it was for was stopped.
            self.decide(now, observation);
        } else {
            // The identical replacement, so that an earlier copy on its way can do no harm.
            self.ask(bid);
        }
    }

    /// What to ask instead, where an operator has steered the job while we held the round.
    fn steered(&mut self, now: Now, bid: &Bid, observation: &Observation) -> Option<Bid> {
        if !matches!(bid.intent, Intent::Renew | Intent::Finish | Intent::Free) {
            return None;
        }
        let seen = self.opened(observation).ok().flatten()?;
        self.count(&seen);
        let claim = bid.from.as_ref().filter(|claim| compose::is_same_claim(claim, &seen))?;
        let record = compose::steered(&bid.record, claim, &seen);
        debug_assert_eq!(claim.fence, record.fence, "a claim's end is of the same fence");
        let record = self.rules.seal.numbered(record, seen.count.unwrap_or(0), now.wall_ms);
        let value = self.rules.seal.seal(&record);
        let expected = observation.revision.clone();
        Some(Bid { expected, record, value, from: Some(seen), doubtful: false, ..bid.clone() })
    }

    fn is_running(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.ended.is_none())
    }

    /// Whether a claim leaves too little time for the job by now.
    fn is_late(claim: &Bid, now: Now) -> bool {
        let granted = claim.lease_until_ms.saturating_sub(claim.begun_ms);
        claim.lease_until_ms.saturating_sub(now.mono_ms) < granted / 2
    }

    fn applied(&mut self, now: Now, bid: Bid, revision: Revision) {
        (self.troubles, self.refusals) = (0, 0);
        // A claim counts when it is known to stand.
        if bid.intent != Intent::Claim {
            self.count(&bid.record);
        }
        let observation = Observation { revision, values: vec![bid.value.clone()] };
        let fence = bid.record.fence.unwrap_or(Fence { round: bid.record.timer, attempt: 1 });
        match bid.intent {
            Intent::Claim => return self.claimed(now, bid, observation.revision, fence),
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

    pub(super) fn won(&mut self, now: Now, bid: Bid, revision: Revision, fence: Fence) {
        if self.started >= Some(fence) {
            // A read that was answered from an old copy of the record made us bid for it once more.
            return self.clear(now, revision, bid.record);
        }
        self.highest = self.highest.max(Some(fence));
        if self.stop != Stop::No || Self::is_late(&bid, now) {
            return self.give_back(now, revision, bid.record);
        }
        let from = bid.from.as_ref().filter(|old| old.state != State::Idle).map(|old| old.id.clone());
        self.count(&bid.record);
        self.notice(Notice::Won { fence, from });
        self.started = Some(fence);
        let previous = bid.record.outcome.clone();
        let (module, data) = (bid.record.module.clone(), bid.record.data.clone());
        let lease_until_ms = bid.lease_until_ms;
        self.actions.push_back(Action::Start { fence, lease_until_ms, module, previous, data });
        self.hold(now, fence, revision, bid.record, bid.lease_until_ms, None);
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
        self.hold(now, fence, revision, bid.record, bid.lease_until_ms, run.ended);
        self.advance(now);
    }

    fn hold(
        &mut self,
        now: Now,
        fence: Fence,
        revision: Revision,
        record: Record,
        lease_until_ms: u64,
        ended: Option<Ended>,
    ) {
        // After the same part of the lease that is left as the rules say of a whole one.
        let left_ms = lease_until_ms.saturating_sub(now.mono_ms);
        let renew_ms = self.rules.renew_ms.filter(|_| record.state == State::Running);
        let renew_at_ms = renew_ms.map(|after| now.mono_ms + left_ms * after / self.rules.lease_ms.max(1));
        self.run = Some(Run { fence, revision, record, lease_until_ms, renew_at_ms, ended });
        self.phase = Phase::Holding;
    }

    /// A replacement did not happen: the arbiter holds another record.
    pub(super) fn lost(&mut self, bid: &Bid) {
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
