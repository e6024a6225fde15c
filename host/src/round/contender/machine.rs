//! The state machine itself.

mod answers;
mod identity;
mod settling;

use std::collections::VecDeque;
use std::mem;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use self::settling::Settling;
use super::compose::{self, Lease};
use super::{Action, Ended, Event, Halt, Notice, Now, Rules};
use crate::round::{Fence, Outcome, Record, Revision, State};

/// The waits between attempts to reach an arbiter that fails.
const TROUBLE: super::Backoff = super::Backoff { base_ms: 100, cap_ms: 5_000 };

/// One agent's part in one job's rounds.
#[derive(Debug, Clone)]
pub struct Contender {
    rules: Rules,
    id: String,
    rng: SmallRng,
    module: Option<String>,
    phase: Phase,
    run: Option<Run>,
    /// The last fence that was handed to a run, which tells a claim that never started from one that did.
    started: Option<Fence>,
    /// How the last run that came to an end by itself ended.
    ended: Option<(Fence, Ended)>,
    /// The highest fence that was seen and was due: never claimed again, whatever a hand writes.
    highest: Option<Fence>,
    /// A claim of ours that may have been written over another one's: left alone until its lease is over.
    abandoned: Option<Fence>,
    /// The module that the record names, where it is another one than ours and that was said: with it, which one is ours.
    waits_for: Option<(String, String)>,
    /// The reason of the pause that was noticed.
    pause: Option<String>,
    /// When the arbiter was last asked for a read, on the monotonic clock.
    read_ms: u64,
    /// The highest count of a sealed record that was seen, or written by us and stood: an older one was put back.
    newest: u64,
    /// Failures to reach the arbiter, in a row.
    troubles: u32,
    /// Bids that were refused, in a row, each of them made on what was read after the one before.
    refusals: u32,
    stop: Stop,
    actions: VecDeque<Action>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stop {
    No,
    /// Take no more rounds.
    Asked,
    /// And give back what is held.
    GiveBack,
    Done,
}

#[derive(Debug, Clone, Hash)]
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
    /// A claim was written over whatever stood there; it is read back at this moment.
    Settling { settling: Settling, until_ms: u64 },
    /// The record is being read, to see whether the claim still stands.
    Confirming(Settling),
    /// A run is under way, and the arbiter is left in peace.
    Holding,
}

/// One conditional replacement, until its outcome is known.
#[derive(Debug, Clone, Hash)]
struct Bid {
    intent: Intent,
    expected: Revision,
    record: Record,
    /// The record as it is sealed.
    value: Vec<u8>,
    /// What the record said before.
    from: Option<Record>,
    /// When it was first asked for.
    begun_ms: u64,
    /// When the read was asked for that it was last asked on.
    rests_on_ms: u64,
    /// Until when the lease that it asks for stands.
    lease_until_ms: u64,
    /// An earlier copy may have been applied, or may yet be: a refusal does not say that it was lost.
    doubtful: bool,
    /// The last answer was a refusal.
    refused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Intent {
    Create,
    Claim,
    Renew,
    Finish,
    Free,
    Close,
}

/// A claim of ours that was won.
#[derive(Debug, Clone, Hash)]
struct Run {
    fence: Fence,
    revision: Revision,
    record: Record,
    lease_until_ms: u64,
    renew_at_ms: Option<u64>,
    ended: Option<Ended>,
}

impl Run {
    fn is_to_be_renewed(&self, now: Now) -> bool {
        self.renew_at_ms.is_some_and(|at| at <= now.mono_ms)
    }
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
            ended: None,
            highest: None,
            abandoned: None,
            waits_for: None,
            pause: None,
            read_ms: now.mono_ms,
            newest: 0,
            troubles: 0,
            refusals: 0,
            stop: Stop::No,
            actions: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Now, event: Event) {
        match event {
            Event::Read(seen) => self.on_read(now, seen),
            Event::Replaced(outcome) => self.on_replaced(now, outcome),
            Event::Ended(ended) => {
                if let Some(run) = &mut self.run {
                    self.ended = Some((run.fence, ended.clone()));
                    run.ended = Some(ended);
                }
            }
            Event::Module(module) => {
                // A round may be waiting for one, or for this very one.
                let is_awaited = self.waits_for.as_ref().is_some_and(|(wanted, _)| module.as_ref() == Some(wanted));
                let is_news = self.module.is_none() && module.is_some() || is_awaited && self.module != module;
                if is_news && matches!(self.phase, Phase::Sleeping { .. }) {
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
            Phase::Sleeping { until_ms } | Phase::Unsure { until_ms, .. } | Phase::Settling { until_ms, .. } => {
                Some(*until_ms)
            }
            Phase::Reading | Phase::Writing(_) | Phase::Checking(_) | Phase::Confirming(_) | Phase::Holding => None,
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
            Phase::Sleeping { until_ms } if *until_ms <= now.mono_ms => self.read(now),
            Phase::Unsure { until_ms, .. } if *until_ms <= now.mono_ms => {
                if let Phase::Unsure { bid, .. } = mem::replace(&mut self.phase, Phase::Reading) {
                    self.look_for(now, bid);
                }
            }
            Phase::Settling { until_ms, .. } if *until_ms <= now.mono_ms => self.look_again(now),
            Phase::Holding => self.advance_run(now),
            _ => {}
        }
    }

    fn stop_a_run_without_lease(&mut self, now: Now) {
        if self.run.as_ref().is_some_and(|run| run.ended.is_none() && run.lease_until_ms <= now.mono_ms) {
            self.run = None;
            self.actions.push_back(Action::Halt(Halt::Lapsed));
            if matches!(self.phase, Phase::Holding) {
                self.read(now);
            }
        }
    }

    fn give_back_the_run(&mut self, now: Now) {
        let Some(run) = self.run.take() else { return };
        self.actions.push_back(Action::Halt(Halt::Shutdown));
        // While a renewal is under way its outcome decides what there is to give back: it is waited for.
        if matches!(self.phase, Phase::Holding) {
            if self.is_too_late(&run, now) {
                return self.read(now);
            }
            self.clear(now, run.revision, run.record);
        }
    }

    fn give_back(&mut self, now: Now, expected: Revision, claim: Record) {
        let record = compose::free(&claim, now);
        self.bid(Intent::Free, expected, record, Some(claim), now, now.mono_ms);
    }

    /// Ends or gives back a claim of ours that stands while nothing runs for it.
    fn clear(&mut self, now: Now, expected: Revision, claim: Record) {
        let ended = self.ended.as_ref().filter(|(fence, _)| Some(*fence) == claim.fence);
        let is_stopped_for_us = self.stop == Stop::GiveBack && ended.is_none() && claim.state == State::Running;
        // Only what never started, or was stopped for the agent's sake and may be repeated, counts as no attempt.
        if claim.fence != self.started || is_stopped_for_us {
            self.give_back(now, expected, claim);
        } else {
            let ended = ended.map_or_else(|| Outcome::Stopped.into(), |(_, ended)| ended.clone());
            self.finish(now, expected, claim, ended);
        }
    }

    fn advance_run(&mut self, now: Now) {
        match &self.run {
            None => self.read(now),
            Some(run) if self.is_too_late(run, now) && (run.ended.is_some() || run.is_to_be_renewed(now)) => {
                if run.ended.is_none() {
                    self.actions.push_back(Action::Halt(Halt::Lapsed));
                }
                self.run = None;
                self.read(now);
            }
            Some(run) if run.ended.is_some() => {
                if let Some(run) = self.run.take() {
                    let ended = run.ended.unwrap_or_else(|| Outcome::Stopped.into());
                    self.finish(now, run.revision, run.record, ended);
                }
            }
            Some(run) if run.is_to_be_renewed(now) => {
                let (expected, old) = (run.revision.clone(), run.record.clone());
                let lease = Lease::again(&old, run.lease_until_ms, &self.rules, now);
                let record = compose::renewal(&old, lease);
                self.bid(Intent::Renew, expected, record, Some(old), now, lease.until_ms);
            }
            Some(_) => {}
        }
    }

    fn finish(&mut self, now: Now, expected: Revision, claim: Record, ended: Ended) {
        let attempt = claim.fence.map_or(1, |fence| fence.attempt.saturating_sub(claim.returned));
        let backoff_ms = self.drawn(self.rules.backoff.after(attempt));
        let record = compose::end(&claim, ended, backoff_ms, &self.rules, now);
        self.bid(Intent::Finish, expected, record, Some(claim), now, now.mono_ms);
    }

    fn done(&mut self) {
        self.stop = Stop::Done;
        self.actions.push_back(Action::Done);
    }

    fn read(&mut self, now: Now) {
        self.read_ms = now.mono_ms;
        self.phase = Phase::Reading;
        self.actions.push_back(Action::Read);
    }

    fn bid(
        &mut self,
        intent: Intent,
        expected: Revision,
        record: Record,
        from: Option<Record>,
        now: Now,
        lease_until_ms: u64,
    ) {
        let record = self.rules.seal.numbered(record, self.newest, now.wall_ms);
        let value = self.rules.seal.seal(&record);
        let (begun_ms, rests_on_ms) = (now.mono_ms, self.read_ms);
        let (doubtful, refused) = (false, false);
        self.ask(Bid {
            intent,
            expected,
            record,
            value,
            from,
            begun_ms,
            rests_on_ms,
            lease_until_ms,
            doubtful,
            refused,
        });
    }

    fn ask(&mut self, mut bid: Bid) {
        bid.refused = false;
        bid.rests_on_ms = self.read_ms;
        let (expected, value, record) = (bid.expected.clone(), bid.value.clone(), bid.record.clone());
        self.actions.push_back(Action::Replace { expected, value, record });
        self.phase = Phase::Writing(bid);
    }

    /// Reads the record to learn what came of a replacement.
    fn look_for(&mut self, now: Now, bid: Bid) {
        self.read_ms = now.mono_ms;
        self.phase = Phase::Checking(bid);
        self.actions.push_back(Action::Read);
    }

    fn notice(&mut self, notice: Notice) {
        self.actions.push_back(Action::Notice(notice));
    }

    /// Sleeps for `ms`, or less where the record should be looked at before.
    fn sleep(&mut self, now: Now, ms: u64) {
        // Not all at the same moment: so one of many notices soon what a hand wrote.
        let most_ms = self.drawn(self.rules.reread_ms);
        self.phase = Phase::Sleeping { until_ms: now.mono_ms + ms.min(most_ms) };
    }

    fn trouble(&mut self) -> u64 {
        self.troubles = self.troubles.saturating_add(1);
        self.drawn(TROUBLE.after(self.troubles))
    }

    /// Half of a wait and a part of the other half, so that a thousand agents do not return in the same millisecond.
    fn drawn(&mut self, wait_ms: u64) -> u64 {
        wait_ms / 2 + self.rng.random_range(0..=wait_ms / 2)
    }
}
