//! Messages to Slack, to the channels that the job was granted: `slack = ["#ops"]`. The credentials stay with the host.
//!
//! ```no_run
//! use soloist_sdk::{Failure, slack};
//!
//! fn tell() -> Result<(), Failure> {
//!     slack::post("#ops", "the nightly import is done")?;
//!     slack::Message::new("#ops", "1,204 rows imported")
//!         .blocks(&serde_json::json!([
//!             { "type": "section", "text": { "type": "mrkdwn", "text": "*1,204* rows imported" } }
//!         ]))
//!         .post()?;
//!     // With a bot token, a message can be replied to and replaced.
//!     if let Some(posted) = slack::post("#ops", "the import runs")? {
//!         slack::Message::new("#ops", "half of it is done").reply_to(&posted).post()?;
//!         slack::Message::new("#ops", "the import is done").update(&posted)?;
//!     }
//!     Ok(())
//! }
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::host::slack as host;

/// Posts a text to a channel. Gives where it stands, if Slack tells it: with a bot token, not with a webhook.
///
/// # Errors
/// The message was not posted, or may not have been: see [`Error`].
pub fn post(channel: impl Into<String>, text: impl Into<String>) -> Result<Option<Posted>, Error> {
    Message::new(channel, text).post()
}

/// A message that is being put together; [`Message::post`] posts it.
#[derive(Debug, Clone)]
#[must_use = "a message does nothing until it is posted"]
pub struct Message {
    channel: String,
    text: String,
    blocks: Option<Result<String, String>>,
    thread: Option<String>,
}

/// Where a message stands that was posted with a bot token: what an update and a reply need.
///
/// It serializes, so that it can be kept in the job's [state](crate::state).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// The channel's id.
    pub channel: String,
    /// The message's time stamp, which is its name within the channel.
    pub ts: String,
}

impl Message {
    /// A text to a channel, named as in the grant. With blocks, the text is what a notification shows.
    pub fn new(channel: impl Into<String>, text: impl Into<String>) -> Self {
        Self { channel: channel.into(), text: text.into(), blocks: None, thread: None }
    }

    /// Gives the message Block Kit blocks: something that serializes as a JSON array.
    pub fn blocks<T: Serialize + ?Sized>(mut self, blocks: &T) -> Self {
        self.blocks = Some(serde_json::to_string(blocks).map_err(|error| format!("the blocks are no JSON: {error}")));
        self
    }

    /// Makes it a reply in the thread of that message. Needs a bot token.
    pub fn reply_to(mut self, posted: &Posted) -> Self {
        self.thread = Some(posted.ts.clone());
        self
    }

    /// Posts the message. Gives where it stands, if Slack tells it: with a bot token, not with a webhook.
    ///
    /// # Errors
    /// The message was not posted, or may not have been: see [`Error`].
    pub fn post(self) -> Result<Option<Posted>, Error> {
        Ok(host::post(&self.finish()?)?.map(Into::into))
    }

    /// Replaces the text and the blocks of a message that was posted before. Needs a bot token.
    ///
    /// # Errors
    /// It was not replaced, or may not have been: see [`Error`].
    pub fn update(self, posted: &Posted) -> Result<Posted, Error> {
        let posted = host::Posted { channel: posted.channel.clone(), ts: posted.ts.clone() };
        Ok(host::update(&posted, &self.finish()?)?.into())
    }

    fn finish(self) -> Result<host::Message, Error> {
        let blocks = self.blocks.transpose().map_err(Error::Invalid)?;
        Ok(host::Message { channel: self.channel, text: self.text, blocks, thread: self.thread })
    }
}

/// Why a message was not posted, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The grants do not name this channel, or the host has no credentials for it. The text says which.
    Denied(String),
    /// The message is malformed or over a limit.
    Invalid(String),
    /// Slack refused it: its error code, for example `channel_not_found`.
    Rejected(String),
    /// Slack asks to wait this many seconds, longer than the run has left.
    RateLimited(u32),
    /// Slack could not be reached or answered with a server error. The message may have been posted.
    Unavailable(String),
}

impl Error {
    /// Whether another attempt can help: what `?` goes by when it makes a [`Failure`](crate::Failure) of this.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Denied(_) | Self::Invalid(_) | Self::Rejected(_) => false,
            Self::RateLimited(_) | Self::Unavailable(_) => true,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) => write!(f, "the grants do not allow it: {reason}"),
            Self::Invalid(reason) => write!(f, "the message is malformed: {reason}"),
            Self::Rejected(code) => write!(f, "Slack refused the message: `{code}`"),
            Self::RateLimited(seconds) => write!(f, "Slack asks to wait {seconds} s"),
            Self::Unavailable(reason) => write!(f, "Slack cannot be reached: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<host::Posted> for Posted {
    fn from(posted: host::Posted) -> Self {
        let host::Posted { channel, ts } = posted;
        Self { channel, ts }
    }
}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Denied(reason) => Self::Denied(reason),
            host::Error::Invalid(reason) => Self::Invalid(reason),
            host::Error::Rejected(code) => Self::Rejected(code),
            host::Error::RateLimited(seconds) => Self::RateLimited(seconds),
            host::Error::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}
