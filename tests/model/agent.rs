//! One agent: the real contender, and what its driver keeps beside it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use soloist::round::contender::{Action, Contender, Event, Now};
use soloist::round::{Data, Fence, Observation, Outcome, Record, Replaced, Revision};

use crate::options::{Broken, EPOCH, Options};

/// What stands at the name.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct Stood {
    pub(crate) value: Vec<u8>,
    /// None where it cannot be read.
    pub(crate) record: Option<Record>,
}

/// A conditional replacement that was asked for.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct Ask {
    pub(crate) expected: Revision,
    pub(crate) value: Vec<u8>,
    pub(crate) record: Record,
}

/// A question to the arbiter.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Exchange {
    /// On its way.
    Read,
    /// On its way.
    Replace(Arc<Ask>),
    /// The answer is on its way back, and does not arrive before time has advanced.
    Held(Answer),
    /// The answer arrives.
    Answered(Answer),
    /// The answer never comes.
    Dropped,
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Answer {
    Read(Option<Arc<Stood>>),
    Applied(Arc<[u8]>),
    Conflict,
    Unknown,
    ReadFailed,
    WriteFailed,
}

/// The run under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Run {
    pub(crate) fence: Fence,
    /// Until when it may act, in milliseconds of true time.
    pub(crate) until_ms: u64,
    /// The number that the job's text was when it was handed over.
    pub(crate) count: u64,
}

/// One place for an agent: each start of it is another one.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is of its own, and most of their combinations occur")]
pub(crate) struct Agent {
    pub(crate) place: usize,
    pub(crate) starts: u8,
    /// None while it is down.
    pub(crate) contender: Option<Contender>,
    /// Whether it has left for good.
    pub(crate) is_done: bool,
    pub(crate) is_stopping: bool,
    /// Whether it was not given a turn when time advanced.
    pub(crate) is_asleep: bool,
    /// Whether nothing has happened to it yet: such agents are alike.
    pub(crate) is_fresh: bool,
    pub(crate) exchange: Option<Exchange>,
    pub(crate) run: Option<Run>,
    /// When it last asked for a read.
    pub(crate) read_ms: u64,
    /// Of all that tells this state from another one.
    pub(crate) digest: u64,
}

/// What an agent did that the world wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Started { fence: Fence, is_second: bool },
}

impl Agent {
    pub(crate) fn new(place: usize) -> Self {
        Self {
            place,
            starts: 0,
            contender: None,
            is_done: false,
            is_stopping: false,
            is_asleep: false,
            is_fresh: true,
            exchange: None,
            run: None,
            read_ms: 0,
            digest: 0,
        }
    }

    /// `a1` for the first start of the first agent.
    pub(crate) fn id(&self) -> String {
        format!("{}{}", ["a", "b", "c", "d"][self.place], self.starts)
    }

    pub(crate) fn start(&mut self, options: &Options, at_ms: u64) {
        self.starts += 1;
        let id = if options.is_broken(Broken::SharedId) { "host".to_owned() } else { self.id() };
        let now = self.now(options, at_ms);
        let mut contender = Contender::new(id, options.rules_of(self.place), 7, now);
        contender.handle(now, Event::Module(Some("0123456789ab".to_owned())));
        self.contender = Some(contender);
        self.take_actions(options, at_ms);
    }

    /// The process is gone.
    pub(crate) fn crash(&mut self) {
        (self.contender, self.exchange, self.run) = (None, None, None);
        (self.is_stopping, self.is_asleep) = (false, false);
        self.refresh();
    }

    pub(crate) fn is_due(&self, at_ms: u64) -> bool {
        self.contender.as_ref().and_then(Contender::poll_timeout).is_some_and(|timeout| timeout <= at_ms)
    }

    /// Whether the world waits for it, or it for the world.
    pub(crate) fn is_pending(&self, at_ms: u64) -> bool {
        self.is_due(at_ms) || self.exchange.as_ref().is_some_and(|exchange| *exchange != Exchange::Dropped)
    }

    /// Whether its run can act.
    pub(crate) fn acts(&self, at_ms: u64) -> bool {
        self.run.is_some_and(|run| run.until_ms > at_ms)
    }

    /// Tells the contender what happened and does what it asks for.
    pub(crate) fn handle(&mut self, options: &Options, at_ms: u64, event: Event) -> Option<Deed> {
        let now = self.now(options, at_ms);
        self.is_asleep = false;
        self.contender.as_mut()?.handle(now, event);
        self.take_actions(options, at_ms)
    }

    fn take_actions(&mut self, options: &Options, at_ms: u64) -> Option<Deed> {
        let mut deed = None;
        while let Some(action) = self.contender.as_mut().and_then(Contender::poll_action) {
            match action {
                Action::Read => {
                    self.exchange = Some(Exchange::Read);
                    self.read_ms = at_ms;
                }
                Action::Replace { expected, mut value, mut record } => {
                    if is_text_spoilt(options, &mut record) {
                        value = record.encode();
                    }
                    self.exchange = Some(Exchange::Replace(Arc::new(Ask { expected, value, record })));
                }
                Action::Start { fence, lease_until_ms, data, .. } => {
                    deed = Some(Deed::Started { fence, is_second: self.run.is_some() });
                    let until_ms = match options.broken {
                        Some(Broken::EndlessLease) => u64::MAX,
                        Some(Broken::LeaseFromAnswer) => at_ms + options.rules.lease_ms,
                        _ => lease_until_ms,
                    };
                    self.run = Some(Run { fence, until_ms, count: number(data.as_ref()) });
                }
                Action::Extend { lease_until_ms } => {
                    if let Some(run) = &mut self.run {
                        run.until_ms = lease_until_ms.max(run.until_ms);
                    }
                }
                Action::Halt(_) if options.is_broken(Broken::EndlessLease) => {}
                Action::Halt(_) => self.run = None,
                Action::Notice(_) => {}
                Action::Done => {
                    self.is_done = true;
                    (self.contender, self.run) = (None, None);
                }
            }
        }
        self.refresh();
        deed
    }

    /// Its clock that only goes forward is the true time; its wall clock may be ahead.
    fn now(&self, options: &Options, at_ms: u64) -> Now {
        let ahead = if self.place == 0 { options.ahead } else { 0 };
        Now { wall_ms: (EPOCH + ahead) * 1000 + at_ms, mono_ms: at_ms }
    }

    pub(crate) fn refresh(&mut self) {
        let mut hasher = DefaultHasher::new();
        (self.place, self.starts, self.is_done, self.is_stopping, self.is_asleep, self.is_fresh).hash(&mut hasher);
        (&self.contender, &self.exchange, self.run, self.read_ms).hash(&mut hasher);
        self.digest = hasher.finish();
    }
}

impl Answer {
    pub(crate) fn event(&self) -> Event {
        match self {
            Self::Read(stood) => Event::Read(Ok(stood.as_ref().map_or_else(Observation::absent, |stood| {
                Observation { revision: stood.revision(), values: vec![stood.value.clone()] }
            }))),
            Self::Applied(value) => Event::Replaced(Ok(Replaced::Applied(Revision::Exact(Arc::clone(value))))),
            Self::Conflict => Event::Replaced(Ok(Replaced::Conflict)),
            Self::Unknown => Event::Replaced(Ok(Replaced::Unknown("lost".to_owned()))),
            Self::ReadFailed => Event::Read(Err("failed".to_owned())),
            Self::WriteFailed => Event::Replaced(Err("failed".to_owned())),
        }
    }
}

impl Stood {
    pub(crate) fn new(value: Vec<u8>) -> Self {
        Self { record: Record::decode(&value).ok(), value }
    }

    pub(crate) fn revision(&self) -> Revision {
        Revision::Exact(self.value.as_slice().into())
    }
}

/// The number that the job's text is: each run that goes well counts on.
pub(crate) fn number(data: Option<&Data>) -> u64 {
    data.map_or(0, |data| data.as_str().parse().expect("a run writes a number"))
}

/// What a run makes of it.
pub(crate) fn counted(count: u64) -> Option<Data> {
    Data::new((count + 1).to_string()).ok()
}

/// Spoils the job's text where that is what is broken.
fn is_text_spoilt(options: &Options, record: &mut Record) -> bool {
    let is_failed_end = !record.state.is_running() && record.outcome == Some(FAILED);
    match options.broken {
        Some(Broken::DropsText) if record.state.is_running() => record.data = None,
        Some(Broken::CommitsFailures) if is_failed_end => record.data = counted(number(record.data.as_ref())),
        _ => return false,
    }
    true
}

/// What a run's end is told as.
pub(crate) const FAILED: Outcome = Outcome::Retry;
