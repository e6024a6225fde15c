//! The arbiter and the way to it: one RRset with compare-and-swap, and messages that are slow, lost, late or repeated.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use soloist::arbiter::memory::Memory;
use soloist::round::{Observation, Record, Replaced, Revision};

use crate::faults::{Fault, Faults};
use crate::history::Start;
use crate::options::{Chances, Options, hit};

/// What an agent asks the arbiter.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    Read,
    Replace { expected: Revision, record: Box<Record> },
}

/// What it is told.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Read(Result<Observation, String>),
    Replaced(Result<Replaced, String>),
}

/// A question on its way to the arbiter.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) from: Start,
    pub(crate) exchange: u64,
    /// When it was sent.
    pub(crate) sent: u64,
    pub(crate) question: Question,
    pub(crate) reply: Reply,
}

/// What comes back from the arbiter for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The answer.
    Answer,
    /// The word that something failed, although it was done.
    Failure,
    /// Nothing.
    Nothing,
}

/// What becomes of a question.
pub(crate) enum Way {
    /// Requests arrive after so many milliseconds each.
    Sent(Vec<(u64, Request)>),
    /// This answer comes back after so many, from a place that did nothing.
    Refused(u64, Answer),
}

/// The way to the arbiter.
pub(crate) struct Network {
    pub(crate) arbiter: Memory,
    rng: SmallRng,
    chances: Chances,
    latency_ms: u64,
    late_ms: u64,
    is_healed: bool,
    /// Nobody reaches the arbiter before then.
    pub(crate) down_until: u64,
    /// It refuses every replacement before then.
    pub(crate) stubborn_until: u64,
}

impl Network {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            arbiter: Memory::default(),
            rng: SmallRng::seed_from_u64(options.seed ^ 0x006e_6574),
            chances: options.chances.clone(),
            latency_ms: options.latency_ms,
            late_ms: options.late_ms(),
            is_healed: false,
            down_until: 0,
            stubborn_until: 0,
        }
    }

    /// From now on nothing goes wrong any more, except for what is on its way.
    pub(crate) fn heal(&mut self) {
        self.is_healed = true;
        self.chances = Chances::default();
        self.down_until = 0;
        self.stubborn_until = 0;
    }

    /// How long one message takes.
    pub(crate) fn latency(&mut self) -> u64 {
        // Now and then a slow one, below what anybody gives up.
        let most = if !self.is_healed && hit(&mut self.rng, 50) { 8 * self.latency_ms } else { self.latency_ms };
        self.rng.random_range(1..=most.max(1))
    }

    /// Sends a question; whether its agent is hindered by what happens to it.
    pub(crate) fn send(&mut self, now: u64, is_cut_off: bool, request: Request, faults: &mut Faults) -> (Way, bool) {
        let there = self.latency();
        if is_cut_off || self.down_until > now {
            // The connection is refused, or nothing is heard at all.
            let way = if self.rng.random_bool(0.5) {
                Way::Refused(there, failure(&request.question, "the connection was refused"))
            } else {
                Way::Sent(Vec::new())
            };
            return (way, true);
        }
        match self.fault(&request.question) {
            None => (Way::Sent(vec![(there, request)]), false),
            Some(fault) => {
                faults.count(fault);
                (self.faulty(fault, there, request), fault != Fault::Retransmitted && fault != Fault::Repeated)
            }
        }
    }

    fn fault(&mut self, question: &Question) -> Option<Fault> {
        let chances = &self.chances;
        let both = [(Fault::LostRequest, chances.lost_request), (Fault::LostAnswer, chances.lost_answer)];
        let writes = [
            (Fault::LateRequest, chances.late_request),
            (Fault::Retransmitted, chances.retransmitted),
            (Fault::Repeated, chances.repeated),
            (Fault::ServerError, chances.server_error),
            (Fault::FailureAfterAll, chances.server_failure),
            (Fault::Failure, chances.server_failure),
        ];
        let writes = if matches!(question, Question::Read) { &writes[..0] } else { &writes };
        let rng = &mut self.rng;
        both.iter().chain(writes).find(|(_, chance)| hit(rng, *chance)).map(|(fault, _)| *fault)
    }

    fn faulty(&mut self, fault: Fault, there: u64, request: Request) -> Way {
        let with = |reply| Request { reply, ..request.clone() };
        let late = self.rng.random_range(0..=self.late_ms);
        match fault {
            Fault::LostAnswer => Way::Sent(vec![(there, with(Reply::Nothing))]),
            Fault::LateRequest => Way::Sent(vec![(late, with(Reply::Nothing))]),
            // The first copy is applied, and what is heard is how the second one was refused.
            Fault::Retransmitted => Way::Sent(vec![(there, with(Reply::Nothing)), (there + 1, request)]),
            Fault::Repeated => Way::Sent(vec![(there + late, with(Reply::Nothing)), (there, request)]),
            Fault::ServerError => Way::Refused(there, failure(&request.question, "server error")),
            Fault::FailureAfterAll => Way::Sent(vec![(there, with(Reply::Failure))]),
            Fault::Failure => Way::Refused(there, Answer::Replaced(Ok(Replaced::Unknown("server failure".to_owned())))),
            _ => Way::Sent(Vec::new()),
        }
    }
}

/// That nothing was done.
pub(crate) fn failure(question: &Question, reason: &str) -> Answer {
    match question {
        Question::Read => Answer::Read(Err(reason.to_owned())),
        Question::Replace { .. } => Answer::Replaced(Err(reason.to_owned())),
    }
}

/// That no answer came in time.
pub(crate) fn silence(question: &Question) -> Answer {
    match question {
        Question::Read => Answer::Read(Err("no answer".to_owned())),
        Question::Replace { .. } => Answer::Replaced(Ok(Replaced::Unknown("no answer".to_owned()))),
    }
}
