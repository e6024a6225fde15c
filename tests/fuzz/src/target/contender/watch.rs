//! Watches a contender: every action is held against what it was told before.

use std::collections::HashMap;

use crate::round::contender::{Action, Contender, Event, Now, Rules, readable};
use crate::round::{
    Change, Data, Fence, MAX_RECORD_BYTES, Observation, Outcome, Record, Replaced, Revision, Sealed, State,
};

/// The contender's own id.
pub(super) const ME: &str = "me";

/// The most actions that one event leads to.
const MOST_ACTIONS: usize = 16;

/// The longest wait after an arbiter that fails, in milliseconds.
const MOST_TROUBLE_MS: u64 = 5_000;

/// What the contender asked for and was not yet told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asked {
    Read,
    Replace { expected: Revision, value: Vec<u8> },
}

/// What is known of a value that the contender asked to be written.
#[derive(Debug)]
struct Bid {
    record: Record,
    /// When it was first asked for, on the monotonic clock.
    asked_ms: u64,
    /// It was said to be written, or was read.
    is_known: bool,
    /// How often it was read, and nothing beside it.
    reads: u32,
}

pub(super) struct Watched {
    contender: Contender,
    rules: Rules,
    now: Now,
    asked: Option<Asked>,
    /// What was asked last, until its answer is handled.
    answering: Option<Asked>,
    /// What the contender was shown, by revision.
    shown: HashMap<Revision, Vec<Vec<u8>>>,
    bids: HashMap<Vec<u8>, Bid>,
    /// What was sealed by those who have a key, whatever the seal itself says.
    made: HashMap<Vec<u8>, Record>,
    /// The highest count of a record of others that the contender was shown.
    newest: u64,
    /// The run under way and the end of its lease, on the monotonic clock.
    run: Option<(Fence, u64)>,
    last: Option<Fence>,
    /// What the last run that went well, and changed the job's text, left.
    left: Option<(Fence, Option<Data>)>,
    module: Option<String>,
    starts: u32,
    is_stopped: bool,
    is_done: bool,
}

impl Watched {
    pub(super) fn new(rules: Rules, seed: u64, now: Now) -> Self {
        let mut contender = Contender::new(ME.to_owned(), rules.clone(), seed, now);
        contender.handle(now, Event::Module(Some("0123456789ab".to_owned())));
        let mut watched = Self {
            contender,
            rules,
            now,
            asked: None,
            answering: None,
            shown: HashMap::from([(Revision::Absent, Vec::new())]),
            bids: HashMap::new(),
            made: HashMap::new(),
            newest: 0,
            run: None,
            last: None,
            left: None,
            module: Some("0123456789ab".to_owned()),
            starts: 0,
            is_stopped: false,
            is_done: false,
        };
        watched.check_actions();
        watched
    }

    pub(super) const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Seals a record as one who has the key.
    pub(super) fn seal(&mut self, record: &Record) -> Vec<u8> {
        self.vouch(self.rules.seal.seal(record), record)
    }

    /// Takes note of what somebody sealed who has a key.
    pub(super) fn vouch(&mut self, value: Vec<u8>, record: &Record) -> Vec<u8> {
        self.made.insert(value.clone(), record.clone());
        value
    }

    /// The highest count that anybody wrote.
    pub(super) fn newest_made(&self) -> u64 {
        self.made.values().filter_map(|record| record.count).max().unwrap_or(0)
    }

    pub(super) const fn is_running(&self) -> bool {
        self.run.is_some()
    }

    pub(super) const fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    pub(super) const fn is_done(&self) -> bool {
        self.is_done
    }

    pub(super) const fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    pub(super) const fn starts(&self) -> u32 {
        self.starts
    }

    pub(super) fn timeout(&self) -> Option<u64> {
        self.contender.poll_timeout()
    }

    /// What is to be answered now.
    pub(super) fn take_asked(&mut self) -> Option<Asked> {
        self.answering = self.asked.take();
        self.answering.clone()
    }

    pub(super) fn handle(&mut self, now: Now, event: Event) {
        self.now = now;
        match &event {
            Event::Read(Ok(seen)) => self.learn(seen),
            Event::Replaced(Ok(Replaced::Applied(revision))) => {
                if let Some(Asked::Replace { value, .. }) = &self.answering {
                    self.shown.insert(revision.clone(), vec![value.clone()]);
                    self.bids.get_mut(value).expect("it was asked for").is_known = true;
                }
            }
            Event::Ended(ended) => {
                let fence = self.run.take().map(|(fence, _)| fence);
                if let (Some(fence), Outcome::Ok, Change::To(data)) = (fence, &ended.outcome, &ended.change) {
                    self.left = Some((fence, data.clone()));
                }
            }
            Event::Module(module) => self.module.clone_from(module),
            Event::Stop | Event::GiveBack => self.is_stopped = true,
            _ => {}
        }
        self.contender.handle(now, event);
        self.check_actions();
    }

    fn learn(&mut self, seen: &Observation) {
        self.shown.insert(seen.revision.clone(), seen.values.clone());
        if let [value] = seen.values.as_slice()
            && let Some(bid) = self.bids.get_mut(value)
        {
            bid.is_known = true;
            bid.reads += 1;
        } else if let [value] = seen.values.as_slice()
            && let Some(record) = self.made.get(value)
        {
            self.newest = self.newest.max(record.count.unwrap_or(0));
        }
    }

    /// Nothing is acted on that was not sealed by somebody who has a key, or that was put back.
    fn check_seal(&self, base: &Observation) {
        let seal = &self.rules.seal;
        let [value] = base.values.as_slice() else { return };
        if seal.key_id().is_none() {
            return;
        }
        let made = self.made.get(value);
        let may_be_plain = seal.accepts_unsealed() && Sealed::of(value).is_none();
        assert!(made.is_some() || may_be_plain, "nobody sealed it: {}", String::from_utf8_lossy(value));
        if !seal.accepts_unsealed() && self.rules.settle.is_none() && !self.bids.contains_key(value) {
            let count = made.and_then(|record| record.count).unwrap_or(0);
            assert!(count >= self.newest, "it was put back: {count}, and {} before", self.newest);
        }
    }

    fn check_actions(&mut self) {
        let mut count = 0;
        while let Some(action) = self.contender.poll_action() {
            count += 1;
            assert!(count <= MOST_ACTIONS, "one event leads to no end of actions");
            assert!(!self.is_done, "nothing happens after the end: {action:?}");
            self.check(action);
        }
        self.check_times();
    }

    fn check(&mut self, action: Action) {
        match action {
            Action::Read => {
                assert_eq!(self.asked, None, "one exchange at a time");
                self.asked = Some(Asked::Read);
            }
            Action::Replace { expected, value, record } => {
                assert_eq!(self.asked, None, "one exchange at a time");
                self.check_replacement(&expected, &value, &record);
                self.asked = Some(Asked::Replace { expected, value });
            }
            Action::Start { fence, lease_until_ms, .. } => self.check_start(fence, lease_until_ms),
            Action::Extend { lease_until_ms } => {
                let (fence, _) = self.run.expect("only a run under way is extended");
                assert!(
                    lease_until_ms <= self.now.mono_ms + self.rules.lease_ms,
                    "a lease is longer than the rules say"
                );
                self.run = Some((fence, lease_until_ms));
            }
            Action::Halt(_) => assert!(self.run.take().is_some(), "only a run under way is stopped"),
            Action::Notice(_) => {}
            Action::Done => {
                assert_eq!(self.run, None, "a run outlives its agent");
                assert!(self.is_stopped, "nobody asked for the end");
                self.is_done = true;
            }
        }
    }

    fn check_replacement(&mut self, expected: &Revision, value: &[u8], record: &Record) {
        assert!(value.len() <= MAX_RECORD_BYTES, "a record is too long");
        assert_eq!(self.rules.seal.open(value).as_ref(), Ok(record), "what is written can be read");
        assert_eq!(record.id, ME, "an agent signs with its own name");
        let values = self.shown.get(expected).expect("only what was shown is replaced");
        let base = Observation { revision: expected.clone(), values: values.clone() };
        let old = base.opened(&self.rules.seal).expect("nothing unreadable is written over");
        self.check_seal(&base);
        assert_eq!(self.seal(record), value, "what is written is sealed");
        if let Some(old) = &old {
            assert_eq!(old.extra, record.extra, "the fields of others are kept");
            assert_eq!(old.wanted, record.wanted, "what an operator wants is kept");
            self.check_data(old, record);
        } else {
            assert!(!record.state.is_running(), "a claim is made over a record");
        }
        if !self.bids.contains_key(value) {
            self.check_new(&base, old.as_ref(), record);
        }
        let (record, asked_ms) = (record.clone(), self.now.mono_ms);
        self.bids.entry(value.to_vec()).or_insert(Bid { record, asked_ms, is_known: false, reads: 0 });
    }

    /// The job's text is changed by the end of a run that went well alone, and to what that run left.
    fn check_data(&self, old: &Record, record: &Record) {
        if old.data == record.data {
            return;
        }
        let is_end = old.id == ME && old.state.is_running() && !record.state.is_running() && old.fence == record.fence;
        let left = record.fence.map(|fence| (fence, record.data.clone()));
        assert!(is_end && record.outcome == Some(Outcome::Ok), "not the end of a good run: {old:?}, {record:?}");
        assert_eq!(left, self.left, "another text than the run left");
    }

    /// What is asked for the first time, and so was decided upon just now.
    fn check_new(&self, base: &Observation, old: Option<&Record>, record: &Record) {
        let Some(old) = old.filter(|old| old.id != ME || !old.state.is_running()) else { return };
        assert!(readable(base, &self.rules, self.now).is_ok(), "what cannot be meant is left alone: {old:?}");
        if !record.state.is_running() {
            return;
        }
        let (fence, seconds) = (record.fence.expect("a claim has a fence"), self.now.wall_seconds());
        assert!(Some(fence) > old.fence, "a claim's fence rises: {old:?}, {record:?}");
        assert!(Some(fence) > self.last, "a fence that was started is claimed again: {old:?}, {record:?}");
        // Another attempt goes by the timer alone: its round is due by the clock of whoever began it.
        let is_due = fence.round <= seconds || old.fence.is_some_and(|last| last.round == fence.round);
        assert!(old.timer <= seconds && is_due, "a claim is made too early: {old:?}, {record:?}");
        assert!(old.paused.is_none() || old.triggered, "a claim is made during a pause");
        assert!(!self.is_stopped, "a claim is made after the stop");
        if self.rules.same_module {
            let module = self.module.as_deref();
            assert!(old.wanted().is_none_or(|wanted| Some(wanted) == module), "a claim with another module: {old:?}");
        }
    }

    fn check_start(&mut self, fence: Fence, lease_until_ms: u64) {
        assert_eq!(self.run, None, "one run at a time");
        assert!(!self.is_stopped, "a run begins after the stop");
        let (now_ms, reads) = (self.now.mono_ms, self.rules.settle.map_or(0, |settle| settle.reads.max(1)));
        let claim = self.bids.values().find(|bid| {
            bid.record.fence == Some(fence)
                && matches!(bid.record.state, State::Running | State::Once)
                && bid.is_known
                && bid.reads >= reads
                && lease_until_ms <= bid.asked_ms + self.rules.lease_ms
        });
        assert!(claim.is_some(), "no claim of {fence} came through");
        assert!(now_ms < lease_until_ms, "a run begins without a lease");
        assert!(Some(fence) > self.last, "a fence is started again: {fence} after {:?}", self.last);
        self.last = Some(fence);
        self.starts += 1;
        self.run = Some((fence, lease_until_ms));
    }

    fn check_times(&self) {
        let timeout = self.contender.poll_timeout();
        if self.is_done {
            return assert_eq!(timeout, None, "nothing is waited for after the end");
        }
        let now_ms = self.now.mono_ms;
        if let Some((fence, until_ms)) = self.run {
            assert!(now_ms < until_ms, "the run of {fence} goes on without a lease");
            assert!(timeout.is_some_and(|at| at <= until_ms), "nobody looks when the lease of {fence} ends");
        }
        let settle_ms = self.rules.settle.map_or(0, |settle| settle.wait_ms + 1);
        let most_ms = self.rules.reread_ms.max(self.rules.lease_ms).max(settle_ms).max(MOST_TROUBLE_MS);
        match timeout {
            Some(at) => assert!(at <= now_ms + most_ms, "a wait of {} ms", at - now_ms),
            None => assert!(self.asked.is_some(), "nothing is asked, and nothing is waited for"),
        }
        if self.asked.is_none() {
            assert!(timeout.is_none_or(|at| at > now_ms), "what is due is not done");
        }
    }
}
