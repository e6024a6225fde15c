//! The way to the arbiter: messages that are slow, lost, late, repeated or overtaken.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use soloist::round::{Observation, Record, Replaced, Revision};

use crate::arbiter::Arbiter;
use crate::faults::{Fault, Faults};
use crate::history::Start;
use crate::options::{Chances, Options, hit};

/// What an agent asks the arbiter.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    Read,
    /// `value` is the record as it is sealed.
    Replace {
        expected: Revision,
        record: Box<Record>,
        value: Vec<u8>,
    },
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
    /// Where its agent is kept.
    pub(crate) slot: usize,
    pub(crate) question: Question,
    pub(crate) reply: Reply,
}

/// What comes back from the arbiter for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The answer.
    Answer,
    /// The answer, perhaps after it was given up.
    Late,
    /// The answer, twice.
    Twice,
    /// What a secondary holds.
    Old,
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
    pub(crate) arbiter: Arbiter,
    rng: SmallRng,
    chances: Chances,
    latency_ms: u64,
    /// The longest way of a message that is slow, but not given up.
    slow_ms: u64,
    /// How much longer the way of a replacement may be.
    write_ms: u64,
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
            arbiter: Arbiter::new(options.lag_ms),
            rng: SmallRng::seed_from_u64(options.seed ^ 0x006e_6574),
            chances: options.chances.clone(),
            latency_ms: options.latency_ms,
            slow_ms: options.slow_ms,
            write_ms: options.write_ms,
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
        let most = if !self.is_healed && hit(&mut self.rng, 50) { self.slow_ms } else { self.latency_ms };
        self.rng.random_range(1..=most.max(1))
    }

    /// Sends a question; whether its agent is hindered by what happens to it.
    pub(crate) fn send(&mut self, now: u64, is_cut_off: bool, request: Request, faults: &mut Faults) -> (Way, bool) {
        let is_write = matches!(request.question, Question::Replace { .. });
        let there = self.latency() + if is_write { self.rng.random_range(0..=self.write_ms) } else { 0 };
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
                if matches!(request.question, Question::Replace { .. })
                    && matches!(fault, Fault::LostRequest | Fault::Failure)
                {
                    faults.count(Fault::UnknownRefused);
                }
                let is_harmless = matches!(fault, Fault::Retransmitted | Fault::Repeated | Fault::RepeatedAnswer);
                (self.faulty(fault, there, request), !is_harmless)
            }
        }
    }

    /// How long a message takes in bad times.
    pub(crate) fn lateness(&mut self) -> u64 {
        self.rng.random_range(0..=self.late_ms)
    }

    fn fault(&mut self, question: &Question) -> Option<Fault> {
        let chances = &self.chances;
        let both = [
            (Fault::LostRequest, chances.lost_request),
            (Fault::LostAnswer, chances.lost_answer),
            (Fault::LateRequest, chances.late_request),
            (Fault::LateAnswer, chances.late_answer),
            (Fault::RepeatedAnswer, chances.repeated),
            (Fault::ServerError, chances.server_error),
        ];
        let read = [(Fault::Stale, chances.stale)];
        let write = [
            (Fault::Retransmitted, chances.retransmitted),
            (Fault::Repeated, chances.repeated),
            (Fault::FailureAfterAll, chances.server_failure),
            (Fault::Failure, chances.server_failure),
        ];
        let own = if matches!(question, Question::Read) { &read[..] } else { &write };
        let rng = &mut self.rng;
        both.iter().chain(own).find(|(_, chance)| hit(rng, *chance)).map(|(fault, _)| *fault)
    }

    fn faulty(&mut self, fault: Fault, there: u64, mut request: Request) -> Way {
        let late = self.lateness();
        let mut with = |reply| {
            request.reply = reply;
            request.clone()
        };
        Way::Sent(match fault {
            Fault::LostAnswer => vec![(there, with(Reply::Nothing))],
            Fault::LateRequest => vec![(late, with(Reply::Answer))],
            Fault::LateAnswer => vec![(there, with(Reply::Late))],
            Fault::RepeatedAnswer => vec![(there, with(Reply::Twice))],
            Fault::Stale => vec![(there, with(Reply::Old))],
            // The first copy is applied, and what is heard is how the second one was refused.
            Fault::Retransmitted => vec![(there, with(Reply::Nothing)), (there + 1, with(Reply::Answer))],
            Fault::Repeated => vec![(there + late, with(Reply::Nothing)), (there, with(Reply::Answer))],
            Fault::ServerError => return Way::Refused(there, failure(&request.question, "server error")),
            Fault::FailureAfterAll => vec![(there, with(Reply::Failure))],
            Fault::Failure => {
                let unknown = Replaced::Unknown("server failure".to_owned());
                return Way::Refused(there, Answer::Replaced(Ok(unknown)));
            }
            _ => Vec::new(),
        })
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
