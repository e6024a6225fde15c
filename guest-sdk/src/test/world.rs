//! How the host for tests answers.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt::Display;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::ran::{Change, Figure, Post, Ran, Request};
use crate::log::Level;
use crate::{dns, dns_update, http, slack};

/// The largest state, as a JSON string.
const MAX_STATE: usize = 400;

/// The time when a run begins, unless a test says another: 2026-01-01T00:00:00Z.
const BEGIN: Duration = Duration::from_secs(1_767_225_600);

/// A name in lower case without its final dot, and a type in capitals.
type Key = (String, String);

/// What the run has set as the state.
#[derive(Debug)]
enum Set {
    Nothing,
    Cleared,
    Text(String),
}

/// All that a test has set, and all that a job has done.
#[derive(Debug)]
pub(super) struct World {
    pub(super) config: Map<String, Value>,
    pub(super) answers: HashMap<String, VecDeque<Result<http::Response, http::Error>>>,
    pub(super) certificates: HashMap<String, Vec<Vec<u8>>>,
    pub(super) secrets: BTreeSet<String>,
    pub(super) webhook: bool,
    pub(super) refusals: HashMap<String, VecDeque<slack::Error>>,
    pub(super) records: HashMap<Key, Result<dns::Answer, dns::Error>>,
    pub(super) records_at: HashMap<(String, Key), Result<dns::Answer, dns::Error>>,
    pub(super) change_refusals: VecDeque<dns_update::Error>,
    pub(super) state: Option<String>,
    pub(super) now: SystemTime,
    pub(super) deadline: SystemTime,
    set: Set,
    requests: Vec<Request>,
    logs: Vec<(Level, String)>,
    posts: Vec<Post>,
    figures: Vec<Figure>,
    changes: Vec<Vec<Change>>,
    slept: Duration,
    random: u64,
}

impl Default for World {
    fn default() -> Self {
        let now = SystemTime::UNIX_EPOCH + BEGIN;
        Self {
            config: Map::new(),
            answers: HashMap::new(),
            certificates: HashMap::new(),
            secrets: BTreeSet::new(),
            webhook: false,
            refusals: HashMap::new(),
            records: HashMap::new(),
            records_at: HashMap::new(),
            change_refusals: VecDeque::new(),
            state: None,
            now,
            deadline: now,
            set: Set::Nothing,
            requests: Vec::new(),
            logs: Vec::new(),
            posts: Vec::new(),
            figures: Vec::new(),
            changes: Vec::new(),
            slept: Duration::ZERO,
            random: 0,
        }
    }
}

impl World {
    pub(super) fn into_ran(self) -> Ran {
        let state = self.state();
        Ran {
            result: Ok(String::new()),
            requests: self.requests,
            logs: self.logs,
            posts: self.posts,
            figures: self.figures,
            changes: self.changes,
            state,
            slept: self.slept,
            state_before: self.state,
        }
    }

    /// A setting as the host gives it: a string as it is, all else as its text.
    pub(super) fn setting(&self, key: &str) -> Option<String> {
        self.config.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    pub(super) fn log(&mut self, level: Level, message: &str) {
        self.logs.push((level, message.to_owned()));
    }

    pub(super) fn state(&self) -> Option<String> {
        match &self.set {
            Set::Nothing => self.state.clone(),
            Set::Cleared => None,
            Set::Text(text) => Some(text.clone()),
        }
    }

    /// Gives the number of bytes where there are too many.
    pub(super) fn set_state(&mut self, value: Option<&str>) -> Result<(), usize> {
        let size = value.map_or(0, |text| Value::from(text).to_string().len());
        if size > MAX_STATE {
            return Err(size);
        }
        self.set = value.map_or(Set::Cleared, |text| Set::Text(text.to_owned()));
        Ok(())
    }

    pub(super) fn fetch(&mut self, request: Request) -> Result<http::Response, http::Error> {
        let missing = format!("the test has no answer to `{}`: add `.respond(…)`", request.url);
        let answer = match self.answers.get_mut(&request.url) {
            Some(answers) if answers.len() > 1 => answers.pop_front(),
            Some(answers) => answers.front().cloned(),
            None => None,
        };
        self.requests.push(request);
        answer.unwrap_or(Err(http::Error::Denied(missing)))
    }

    pub(super) fn certificates(&self, origin: &str) -> Result<Vec<Vec<u8>>, http::Error> {
        let missing =
            || http::Error::Denied(format!("the test has no certificates of `{origin}`: add `.certificates(…)`"));
        self.certificates.get(origin).cloned().ok_or_else(missing)
    }

    pub(super) fn secret(&self, name: &str) -> Result<String, String> {
        let missing = || format!("the test has no secret `{name}`: add `.secret(…)`");
        self.secrets.contains(name).then(|| format!("soloist-secret-{name}")).ok_or_else(missing)
    }

    /// Gives where the message stands.
    pub(super) fn post(&mut self, post: Post) -> Result<Option<slack::Posted>, slack::Error> {
        if let Some(error) = self.refusals.get_mut(&post.channel).and_then(VecDeque::pop_front) {
            return Err(error);
        }
        if self.webhook && (post.thread.is_some() || post.updates.is_some()) {
            return Err(slack::Error::Invalid(
                "a webhook can neither reply nor update: it needs a bot token".to_owned(),
            ));
        }
        let count = self.posts.len() + 1;
        let updated = post.updates.clone();
        self.posts.push(post);
        let stands = || slack::Posted { channel: "C0000000001".to_owned(), ts: format!("1767225600.{count:06}") };
        Ok((!self.webhook).then(|| updated.unwrap_or_else(stands)))
    }

    pub(super) fn figure(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    pub(super) fn lookup(&self, name: &str, rtype: &str) -> Result<dns::Answer, dns::Error> {
        let missing =
            || Err(dns::Error::Denied(format!("the test has no records `{rtype}` of `{name}`: add `.records(…)`")));
        self.records.get(&key(name, rtype)).cloned().unwrap_or_else(missing)
    }

    pub(super) fn ask(&self, name: &str, rtype: &str, server: &str) -> Result<dns::Answer, dns::Error> {
        let own = self.records_at.get(&(server.to_owned(), key(name, rtype))).cloned();
        own.unwrap_or_else(|| self.lookup(name, rtype))
    }

    pub(super) fn change(&mut self, change: Vec<Change>) -> Result<(), dns_update::Error> {
        if let Some(error) = self.change_refusals.pop_front() {
            return Err(error);
        }
        self.changes.push(change);
        Ok(())
    }

    /// Time passes only where the job sleeps.
    pub(super) fn sleep(&mut self, time: Duration) {
        let time = time.min(self.left());
        self.now += time;
        self.slept += time;
    }

    pub(super) fn left(&self) -> Duration {
        self.deadline.duration_since(self.now).unwrap_or_default()
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.slept
    }

    /// The same numbers in every run: `SplitMix64`.
    pub(super) fn number(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// What a question is known by.
pub(super) fn key(name: &str, rtype: &str) -> Key {
    (name.trim_end_matches('.').to_ascii_lowercase(), rtype.to_ascii_uppercase())
}

/// An answer with these records.
pub(super) fn answer<D: Display>(name: &str, rtype: &str, ttl: u32, data: impl IntoIterator<Item = D>) -> dns::Answer {
    let (name, rtype) = key(name, rtype);
    let record = |data: D| dns::Record { name: name.clone(), rtype: rtype.clone(), ttl, data: data.to_string() };
    let records: Vec<_> = data.into_iter().map(record).collect();
    let rcode = if records.is_empty() { "NXDOMAIN" } else { "NOERROR" };
    dns::Answer { rcode: rcode.to_owned(), authoritative: true, records, nsid: None }
}
