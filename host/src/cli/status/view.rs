//! What the servers' answers mean, for people and as JSON.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::Name;
use serde_json::{Value, json};

use super::Target;
use crate::agent;
use crate::config::Job;
use crate::dns::query::Answer;
use crate::round::contender::{Now, Rules, is_wanted, readable};
use crate::round::{Data, Form, Outcome, Record, Seal, Sealed, State, Unopened, Unreadable};
use crate::runtime::clean;

/// How long after its timer a record may stand still before that is called overdue, in seconds.
const SLACK: u64 = 5;

/// As much of a job's state is shown to people, in bytes.
const MAX_STATE: usize = 100;

/// The longest line for people, in bytes.
const MAX_LINE: usize = 1000;

const CREATE: &str = "`soloist init` creates it, and so does the first agent";
const OVERDUE: &str = "no agent has taken it: is one running, and has it a module to run?";

/// How things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Fine,
    Paused,
    Overdue,
    Unreadable,
}

impl Condition {
    const fn text(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Paused => "paused",
            Self::Overdue => "overdue",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Why there is no record that counts, and what to try.
struct Problem {
    text: String,
    hint: Option<String>,
}

/// One record, as its servers have it.
pub(super) struct View<'a> {
    name: &'a Name,
    job: Option<&'a Job>,
    answers: &'a [Answer],
    now: u64,
    /// The record that counts, or why there is none.
    record: Result<Record, Problem>,
    /// The value that counts; a server with another one disagrees.
    reference: Option<Vec<Vec<u8>>>,
    /// What its seal shows, should it have one.
    sealed: Option<Sealed>,
    seal: &'a Seal,
}

impl<'a> View<'a> {
    pub(super) fn new(target: &'a Target, answers: &'a [Answer], now: u64) -> Self {
        let Target { record: name, seal, primary, .. } = target;
        let job = target.job.as_ref();
        let reference = reference(answers, seal, *primary);
        let record = match reference {
            None => Err(Problem { text: "no server gives an answer".to_owned(), hint: None }),
            Some(answer) => match answer.result.as_ref() {
                Err(error) => Err(Problem { text: error.to_string(), hint: None }),
                Ok(seen) => match job {
                    Some(job) => {
                        let rules = Rules { seal: seal.clone(), ..job.rules.clone() };
                        readable(&seen.observation, &rules, Now { wall_ms: now * 1000, mono_ms: 0 })
                    }
                    None => seen.observation.opened(seal),
                }
                .map_err(|problem| Problem { text: problem.to_string(), hint: Some(hint(&problem, job)) })
                .and_then(|record| {
                    let text = "there is no TXT record at this name".to_owned();
                    record.ok_or(Problem { text, hint: Some(CREATE.to_owned()) })
                }),
            },
        };
        let reference =
            reference.and_then(|answer| answer.result.as_ref().ok()).map(|seen| seen.observation.values.clone());
        let sealed = reference.as_deref().and_then(|values| match values {
            [value] => Sealed::of(value),
            _ => None,
        });
        Self { name, job, answers, now, record, reference, sealed, seal }
    }

    pub(super) fn condition(&self) -> Condition {
        match &self.record {
            Err(_) => Condition::Unreadable,
            Ok(record) if self.now > record.timer + SLACK && self.is_wanted(record) => Condition::Overdue,
            Ok(record) if record.paused.is_some() => Condition::Paused,
            Ok(_) => Condition::Fine,
        }
    }

    /// Whether an agent would have something to do. Rounds may be left out, by a pause or by the rules of the job.
    fn is_wanted(&self, record: &Record) -> bool {
        let now = Now { wall_ms: self.now * 1000, mono_ms: 0 };
        let is_paused = record.paused.is_some() && !record.triggered;
        self.job.map_or(!is_paused, |job| is_wanted(record, &job.rules, now))
    }

    fn disagrees(&self, answer: &Answer) -> bool {
        match (&answer.result, &self.reference) {
            (Ok(seen), Some(values)) => seen.observation.values != *values,
            _ => false,
        }
    }

    /// For people: a heading, the facts, a line a server.
    pub(super) fn lines(&self) -> Vec<String> {
        let name = bare(self.name);
        let title = self.job.map_or_else(|| name.clone(), |job| format!("{} ({name})", job.name));
        let mut lines = vec![format!("{title}: {}", self.condition().text())];
        match &self.record {
            Ok(record) => lines.extend(self.record_lines(record)),
            Err(Problem { text, hint }) => {
                lines.push(format!("  problem   {text}"));
                lines.extend(hint.iter().map(|hint| format!("  hint      {hint}")));
            }
        }
        lines.extend(self.seal_lines());
        if self.condition() == Condition::Overdue {
            lines.push(format!("  hint      {}", self.why_overdue()));
        }
        for answer in self.answers {
            let ms = answer.elapsed.as_millis();
            let server = &answer.server;
            lines.push(match &answer.result {
                Err(error) => format!("  server    {server}: {error}"),
                Ok(seen) => {
                    let verdict = if self.disagrees(answer) { "DISAGREES: it has" } else { "has" };
                    let what = match seen.observation.opened(self.seal) {
                        Ok(Some(_)) if !self.disagrees(answer) => "this record".to_owned(),
                        Err(_) if !self.disagrees(answer) => "this".to_owned(),
                        Ok(Some(record)) => format!("another record, next due {}", time(record.timer, self.now)),
                        Ok(None) => "no record".to_owned(),
                        Err(problem) => problem.to_string(),
                    };
                    let authority = if seen.authoritative { "" } else { ", not authoritative" };
                    format!("  server    {server}: {verdict} {what} ({ms} ms{authority})")
                }
            });
        }
        // A record's text is anybody's: it must not drive a terminal.
        lines.iter().map(|line| clean(line, MAX_LINE)).collect()
    }

    fn why_overdue(&self) -> String {
        let is_bound = self.job.is_some_and(|job| job.rules.same_module);
        match self.record.as_ref().ok().and_then(Record::wanted).filter(|_| is_bound) {
            Some(wanted) => format!("no agent has taken it: does one that runs hold the module sha256 {wanted}…?"),
            None => OVERDUE.to_owned(),
        }
    }

    /// How the record is sealed; and what it says, where that could not be checked.
    fn seal_lines(&self) -> Vec<String> {
        let Some(sealed) = &self.sealed else { return Vec::new() };
        let how = match sealed.form {
            Form::Sign => "signed",
            Form::Encrypt => "encrypted",
        };
        let mut line = format!("  seal      {how} with the key {}", sealed.key);
        if self.record.is_ok() {
            return vec![line];
        }
        let Some(record) = &sealed.record else {
            line += ", and shows nothing without it";
            return vec![line];
        };
        line += "; this is what stands there, and anybody may have written it:";
        let mut lines = vec![line];
        lines.extend(self.record_lines(record));
        lines
    }

    fn record_lines(&self, record: &Record) -> Vec<String> {
        let ran = if record.timerold == 0 {
            "never".to_owned()
        } else {
            let by = ran_by(record).map(|id| format!(" by {id}")).unwrap_or_default();
            format!("{}{by}", time(record.timerold, self.now))
        };
        let mut lines = vec![format!("  last run  {ran}")];
        if let Some(fence) = record.fence {
            lines.push(format!("  round     {}, attempt {}", time(fence.round, self.now), fence.attempt));
        }
        if let Some(outcome) = &record.outcome {
            // A claim keeps the outcome before it, until it has one of its own.
            let before = record.state.is_running() || record.state == State::Free;
            let which = if before { " (the run before)" } else { "" };
            lines.push(format!("  went      {outcome}{which}"));
        }
        if let Some(module) = &record.module {
            lines.push(format!("  module    sha256 {module}…"));
        }
        if let Some(wanted) = record.wanted.as_ref().filter(|wanted| record.module.as_ref() != Some(wanted)) {
            let ran = if record.module.is_some() { ", and another one ran last" } else { "" };
            lines.push(format!("  wanted    sha256 {wanted}…{ran}"));
        }
        if let Some(data) = &record.data {
            lines.push(format!("  state     {}", clean(data.as_str(), MAX_STATE)));
        }
        if let Some(reason) = &record.paused {
            let reason = if reason.is_empty() { "no reason was given" } else { reason };
            lines.push(format!("  paused    {reason}"));
        }
        let until = time(record.timer, self.now);
        let expired = record.timer <= self.now;
        lines.push(match record.state {
            State::Running | State::Once if expired => {
                format!("  running   {} was, and its lease ended {until}", record.id)
            }
            State::Running | State::Once => format!("  running   {}, with a lease until {until}", record.id),
            State::Retry => format!("  next      a retry, from {until} on"),
            State::Free => "  next      given back: any agent may take it now".to_owned(),
            State::Idle if record.triggered => format!("  next      a run that was asked for, from {until} on"),
            State::Idle if record.paused.is_some() => "  next      none before it is resumed".to_owned(),
            State::Idle => format!("  next      {until}"),
        });
        lines
    }

    /// For machines.
    pub(super) fn json(&self) -> Value {
        let record = self.record.as_ref().ok();
        let running = record.filter(|record| record.state.is_running());
        let servers: Vec<Value> = self
            .answers
            .iter()
            .map(|answer| {
                let seen = answer.result.as_ref().ok();
                json!({
                    "name": answer.server.name.as_ref().map(ToString::to_string),
                    "address": answer.server.addr.to_string(),
                    "ms": u64::try_from(answer.elapsed.as_millis()).unwrap_or(u64::MAX),
                    "error": answer.result.as_ref().err().map(ToString::to_string),
                    "authoritative": seen.map(|seen| seen.authoritative),
                    "nsid": seen.and_then(|seen| seen.nsid.as_deref()),
                    "values": seen.map(|seen| {
                        seen.observation.values.iter().map(|value| String::from_utf8_lossy(value)).collect::<Vec<_>>()
                    }),
                    "agrees": seen.map(|_| !self.disagrees(answer)),
                })
            })
            .collect();
        json!({
            "record": bare(self.name),
            "job": self.job.map(|job| job.name.as_str()),
            "condition": self.condition().text(),
            "seal": self.sealed.as_ref().map(|sealed| json!({
                "kind": match sealed.form { Form::Sign => "sign", Form::Encrypt => "encrypt" },
                "key": sealed.key,
            })),
            "problem": self.record.as_ref().err().map(|problem| problem.text.as_str()),
            "last_run": record.filter(|record| record.timerold > 0).map(|record| json!({
                "at": record.timerold,
                "by": ran_by(record),
                "round": record.fence.map(|fence| fence.round),
                "attempt": record.fence.map(|fence| fence.attempt),
                "module": record.module,
            })),
            "wanted_module": record.and_then(Record::wanted),
            "state": record.and_then(|record| record.data.as_ref()).map(Data::as_str),
            "outcome": record.and_then(|record| record.outcome.as_ref()).map(Outcome::code),
            "running": running.map(|record| json!({ "by": record.id, "lease_until": record.timer })),
            "paused": record.and_then(|record| record.paused.as_deref()),
            "triggered": record.is_some_and(|record| record.triggered),
            "next_due": record.filter(|record| !record.state.is_running()).map(|record| record.timer),
            "servers": servers,
        })
    }
}

fn hint(problem: &Unreadable, job: Option<&Job>) -> String {
    let hint = agent::hint(problem, job.map_or("JOB", |job| job.name.as_str()));
    match problem {
        Unreadable::Unopened(Unopened::NoKey(_) | Unopened::OtherKey(_)) => {
            format!("`--seal-key FILE` names a key to look at it with; for agents, {hint}")
        }
        _ => hint,
    }
}

/// A name as people write it.
fn bare(name: &Name) -> String {
    name.to_string().trim_end_matches('.').to_owned()
}

/// The answer that counts: the arbiter's own, or else the most advanced readable one.
fn reference<'a>(answers: &'a [Answer], seal: &Seal, primary: Option<SocketAddr>) -> Option<&'a Answer> {
    let own = answers.iter().find(|answer| Some(answer.server.addr) == primary && answer.result.is_ok());
    own.or_else(|| {
        answers.iter().filter(|answer| answer.result.is_ok()).max_by_key(|answer| {
            let record = answer.result.as_ref().ok().and_then(|seen| seen.observation.opened(seal).ok().flatten());
            record.map(|record| (record.fence, record.timer))
        })
    })
    .or_else(|| answers.first())
}

/// Who ran last. A round whose agents all vanished was closed by another, whose name the record then bears.
fn ran_by(record: &Record) -> Option<&str> {
    let closed = record.state == State::Idle && record.outcome == Some(Outcome::Lost);
    (!closed).then_some(record.id.as_str())
}

/// A time, absolute and from now: `2026-01-01T00:00:00Z (in 5s)`.
fn time(seconds: u64, now: u64) -> String {
    let absolute = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| seconds.to_string(), |time| time.to_string());
    let span = |seconds| humantime::format_duration(Duration::from_secs(seconds));
    if seconds > now {
        format!("{absolute} (in {})", span(seconds - now))
    } else {
        format!("{absolute} ({} ago)", span(now - seconds))
    }
}
