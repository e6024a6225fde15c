//! The record: what one TXT value says about a job, and its codec. Decoding never panics and keeps what it does not know.

mod fields;

use std::fmt;

use serde_json::{Map, Value};

use self::fields::{
    Fields, problem, take_code, take_data, take_extra, take_fence, take_id, take_paused, take_returned, take_time,
};
use super::data::Data;
use super::seal::Unopened;

/// The longest record, in bytes of JSON, that is read or written.
pub const MAX_RECORD_BYTES: usize = 2048;

/// The longest agent id, in bytes.
pub const MAX_ID_BYTES: usize = 64;

/// The longest that the fields of others may be together, in bytes of JSON as we write it, so that there is always room
/// for ours, and for a seal.
pub const MAX_EXTRA_BYTES: usize = 512;

/// The longest reason of a pause, in bytes.
pub const MAX_REASON_BYTES: usize = 80;

/// The largest attempt that is read or claimed: far more than any configuration allows, so only a hand ever gets there.
pub const MAX_ATTEMPT: u32 = 1_000_000;

/// The largest time that is accepted: the first second of the year 10000. Anything above is no time.
pub const MAX_TIME: u64 = 253_402_300_800;

/// What a job's TXT value says. Times are whole seconds since the Unix epoch.
///
/// The first three fields are the ones that every agent of this kind knows; a record that holds only these is complete.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Record {
    /// Who wrote the record (`id`).
    pub id: String,
    /// From when any agent may act (`timer`): the next due time, the end of a lease or of a backoff.
    pub timer: u64,
    /// When the job was last started (`timerold`); 0 for never.
    pub timerold: u64,
    /// The last fence that was claimed (`r`, `a`); none where no agent with fences ever wrote.
    pub fence: Option<Fence>,
    /// How many attempts at the round were given back (`f`; left out when none): they do not count against the limit.
    pub returned: u32,
    /// What is going on in that fence (`s`; left out when idle).
    pub state: State,
    /// How the last run that ended ended (`o`).
    pub outcome: Option<Outcome>,
    /// The first twelve hexadecimal digits of the digest of the module that runs or last ran (`m`).
    pub module: Option<String>,
    /// The module that an operator wants to run (`w`), as `m` is written: see [`Record::wanted`]. Whoever rewrites the record
    /// keeps it.
    pub wanted: Option<String>,
    /// The text that belongs to the job (`d`). Whoever rewrites the record keeps it, but for the end of a run that went well.
    pub data: Option<Data>,
    /// Why no round is to be claimed (`p`), where an operator paused the job: at most [`MAX_REASON_BYTES`], without
    /// control characters; perhaps empty. Whoever rewrites the record keeps it.
    pub paused: Option<String>,
    /// An operator asks for a run at `timer`, once, whatever the schedule and a pause say (`t`: `true`).
    pub triggered: bool,
    /// How often a sealed record was written (`n`): it rises with each replacement, so that an older one is refused.
    pub count: Option<u64>,
    /// Fields of others, kept as they are, in their order. A number of more than 15 digits keeps these.
    pub extra: Map<String, Value>,
}

/// A claim's name: it only rises, so whoever is handed one can refuse an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    /// The round: its due time.
    pub round: u64,
    /// The attempt at the round, from 1 to [`MAX_ATTEMPT`].
    pub attempt: u32,
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.round, self.attempt)
    }
}

/// What is going on in the fence that a record names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Nothing: `timer` is the next due time.
    #[default]
    Idle,
    /// A run is under way (`"run"`): `timer` is the end of its lease.
    Running,
    /// A run that must not be repeated is under way (`"once"`): from `timer` on, the next round may be claimed.
    Once,
    /// The attempt failed (`"retry"`): from `timer` on, any agent may take the next one.
    Retry,
    /// The agent gave its lease back (`"free"`): any agent may take the round; it counts as no attempt.
    Free,
}

impl State {
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Idle => None,
            Self::Running => Some("run"),
            Self::Once => Some("once"),
            Self::Retry => Some("retry"),
            Self::Free => Some("free"),
        }
    }
}

/// How a run ended, as the short code that stands in the record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The job returned a summary (`ok`).
    Ok,
    /// The job returned a final error (`error`).
    Error,
    /// The job returned an error worth a retry, and there are no attempts left or one is coming (`retry`).
    Retry,
    /// The job was still running at its deadline (`timeout`).
    Timeout,
    /// The job asked for more memory than its limit (`memory`).
    Memory,
    /// The job printed more than its limit (`output`).
    Output,
    /// The job panicked (`panic`).
    Panic,
    /// The job trapped (`trap`).
    Trap,
    /// The host could not run the job (`host`).
    Host,
    /// The run was stopped: its lease was lost or the agent was shutting down (`stopped`).
    Stopped,
    /// Every attempt's agent vanished (`lost`).
    Lost,
    /// A code that this version does not know.
    Other(String),
}

impl Outcome {
    /// The code in the record.
    pub fn code(&self) -> &str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Retry => "retry",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::Panic => "panic",
            Self::Trap => "trap",
            Self::Host => "host",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
            Self::Other(code) => code,
        }
    }

    /// The outcome that a code names.
    pub fn from_code(code: &str) -> Self {
        match code {
            "ok" => Self::Ok,
            "error" => Self::Error,
            "retry" => Self::Retry,
            "timeout" => Self::Timeout,
            "memory" => Self::Memory,
            "output" => Self::Output,
            "panic" => Self::Panic,
            "trap" => Self::Trap,
            "host" => Self::Host,
            "stopped" => Self::Stopped,
            "lost" => Self::Lost,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether the job did what it was asked to.
    pub const fn is_ok(&self) -> bool {
        matches!(self, Self::Ok)
    }

    /// Whether another attempt can help. A final error of the job cannot be helped; all other failures may be.
    pub const fn is_retryable(&self) -> bool {
        !matches!(self, Self::Ok | Self::Error)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why a TXT value is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// More than one TXT record stands at the name.
    #[error("{0} TXT records stand at the name, and there must be one")]
    Several(usize),
    /// The value is longer than [`MAX_RECORD_BYTES`].
    #[error("the value has {0} bytes, and a record has at most {MAX_RECORD_BYTES}")]
    TooLong(usize),
    /// The value is no JSON object.
    #[error("the value is no JSON object: {0}")]
    NotJson(String),
    /// A field stands more than once, so that nobody knows which one counts.
    #[error("the field `{}` stands more than once", .0.escape_debug())]
    Twice(String),
    /// A field is missing or has a value that it cannot have.
    #[error("the field `{field}` {problem}")]
    Field {
        /// The field's key.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The fields of others are longer than [`MAX_EXTRA_BYTES`].
    #[error("the fields that are not ours have {0} bytes, and there is room for {MAX_EXTRA_BYTES}")]
    NoRoom(usize),
    /// `timer` is so far ahead that nobody would run for longer than any schedule can mean.
    #[error("the field `timer` is {0} seconds ahead, further than the schedule can mean")]
    FarAhead(u64),
    /// The round is so far ahead that nobody would run until it has passed.
    #[error("the field `r` is {0} seconds ahead, further than the schedule can mean")]
    RoundFarAhead(u64),
    /// The seal does not open the value.
    #[error(transparent)]
    Unopened(#[from] Unopened),
}

impl State {
    /// Whether a run is under way, as far as the record says.
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Once)
    }
}

impl Record {
    /// An idle record of a job that was never run.
    pub fn new(id: &str, timer: u64) -> Self {
        Self {
            id: id.to_owned(),
            timer,
            timerold: 0,
            fence: None,
            returned: 0,
            state: State::Idle,
            outcome: None,
            module: None,
            wanted: None,
            data: None,
            paused: None,
            triggered: false,
            count: None,
            extra: Map::new(),
        }
    }

    /// The module that may run where all agents are to run the same one: the one that an operator wants, or else the one that
    /// ran last. None lets any run.
    pub fn wanted(&self) -> Option<&str> {
        self.wanted.as_deref().or(self.module.as_deref())
    }

    /// Decodes one TXT value: the strings of the TXT record, joined.
    ///
    /// # Errors
    /// Says what is wrong with the value. No input makes it panic.
    pub fn decode(value: &[u8]) -> Result<Self, Unreadable> {
        if value.len() > MAX_RECORD_BYTES {
            return Err(Unreadable::TooLong(value.len()));
        }
        let Fields(pairs) = serde_json::from_slice(value).map_err(|error| Unreadable::NotJson(error.to_string()))?;
        let mut fields = Map::new();
        for (key, value) in pairs {
            if fields.contains_key(&key) {
                return Err(Unreadable::Twice(key));
            }
            fields.insert(key, value);
        }

        let id = take_id(&mut fields)?;
        let timer = take_time(&mut fields, "timer")?.ok_or_else(|| problem("timer", "is missing".to_owned()))?;
        let timerold = take_time(&mut fields, "timerold")?.unwrap_or(0);
        let fence = take_fence(&mut fields)?;
        let returned = take_returned(&mut fields, fence)?;
        let state = match fields.shift_remove("s") {
            None => State::Idle,
            Some(Value::String(code)) => match code.as_str() {
                "run" => State::Running,
                "once" => State::Once,
                "retry" => State::Retry,
                "free" => State::Free,
                _ => return Err(problem("s", "is none of `run`, `once`, `retry` and `free`".to_owned())),
            },
            Some(_) => return Err(problem("s", "must be a string".to_owned())),
        };
        if state != State::Idle && fence.is_none() {
            return Err(problem("s", "needs a round: `r` and `a`".to_owned()));
        }
        let outcome = take_code(&mut fields, "o")?.map(|code| Outcome::from_code(&code));
        let module = take_code(&mut fields, "m")?;
        let wanted = take_code(&mut fields, "w")?;
        let data = take_data(&mut fields)?;
        let paused = take_paused(&mut fields)?;
        let triggered = match fields.shift_remove("t") {
            None => false,
            Some(Value::Bool(true)) => true,
            Some(_) => return Err(problem("t", "must be `true`, or be left out".to_owned())),
        };
        let count = match fields.shift_remove("n") {
            None => None,
            Some(value) => Some(value.as_u64().ok_or_else(|| problem("n", "must be a whole number".to_owned()))?),
        };
        let extra = take_extra(fields)?;
        Ok(Self {
            id,
            timer,
            timerold,
            fence,
            returned,
            state,
            outcome,
            module,
            wanted,
            data,
            paused,
            triggered,
            count,
            extra,
        })
    }

    /// The JSON text of the record: our fields in a fixed order, then those of others as they came.
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Map::new();
        fields.insert("id".to_owned(), Value::from(self.id.as_str()));
        fields.insert("timer".to_owned(), Value::from(self.timer));
        fields.insert("timerold".to_owned(), Value::from(self.timerold));
        if let Some(fence) = self.fence {
            fields.insert("r".to_owned(), Value::from(fence.round));
            fields.insert("a".to_owned(), Value::from(fence.attempt));
        }
        if self.returned > 0 {
            fields.insert("f".to_owned(), Value::from(self.returned));
        }
        if let Some(code) = self.state.code() {
            fields.insert("s".to_owned(), Value::from(code));
        }
        if let Some(outcome) = &self.outcome {
            fields.insert("o".to_owned(), Value::from(outcome.code()));
        }
        if let Some(module) = &self.module {
            fields.insert("m".to_owned(), Value::from(module.as_str()));
        }
        if let Some(module) = &self.wanted {
            fields.insert("w".to_owned(), Value::from(module.as_str()));
        }
        if let Some(data) = &self.data {
            fields.insert("d".to_owned(), Value::from(data.as_str()));
        }
        if let Some(reason) = &self.paused {
            fields.insert("p".to_owned(), Value::from(reason.as_str()));
        }
        if self.triggered {
            fields.insert("t".to_owned(), Value::Bool(true));
        }
        if let Some(count) = self.count {
            fields.insert("n".to_owned(), Value::from(count));
        }
        fields.extend(self.extra.iter().map(|(key, value)| (key.clone(), value.clone())));
        Value::Object(fields).to_string().into_bytes()
    }
}
