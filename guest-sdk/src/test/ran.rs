//! What came of a run on a host for tests.

use std::time::Duration;

use serde_json::Value;

use crate::log::Level;
use crate::{Failure, slack};

/// What came of a run: what it returned, and everything that it asked of its host, in order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ran {
    /// What the job returned.
    pub result: Result<String, Failure>,
    /// Its HTTP requests.
    pub requests: Vec<Request>,
    /// Its lines in the log.
    pub logs: Vec<(Level, String)>,
    /// Its messages to Slack, updates included; refused ones are not.
    pub posts: Vec<Post>,
    /// The figures that it told.
    pub figures: Vec<Figure>,
    /// Its changes to the DNS, each with all its RRsets; refused ones are not.
    pub changes: Vec<Vec<Change>>,
    /// What the next run would be left with: what a run that failed has set is not written.
    pub state: Option<String>,
    /// For how long it slept, in all. No test has to wait for it.
    pub slept: Duration,
    pub(super) state_before: Option<String>,
}

impl Ran {
    /// The state that the next run would be left with, decoded from JSON.
    ///
    /// # Panics
    /// It does not fit the type.
    pub fn state_as<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        self.state.as_deref().map(|text| serde_json::from_str(text).expect("a state that fits the type"))
    }
}

/// A request that the job sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// Its header fields, in order.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
    /// How long the job would wait.
    pub timeout: Option<Duration>,
}

impl Request {
    /// The first header field of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body, decoded from JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A message that the job posted.
#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    /// The channel, as the job named it.
    pub channel: String,
    /// The text.
    pub text: String,
    /// The blocks, as JSON.
    pub blocks: Option<Value>,
    /// The message that it replies to.
    pub thread: Option<String>,
    /// The message that it replaces.
    pub updates: Option<slack::Posted>,
}

/// A figure that the job told.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    /// Added to a counter.
    Count {
        /// The counter's name.
        name: String,
        /// How much was added.
        by: f64,
        /// Its labels.
        labels: Vec<(String, String)>,
    },
    /// A gauge was set.
    Gauge {
        /// The gauge's name.
        name: String,
        /// What to.
        value: f64,
        /// Its labels.
        labels: Vec<(String, String)>,
    },
}

/// What an RRset was to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The owner's name.
    pub name: String,
    /// The type.
    pub rtype: String,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// The data of each record; none deletes it.
    pub data: Vec<String>,
}
