//! Posting and updating messages in a run's name: grants, pace, waiting when Slack asks to, and lost answers.
//!
//! A message is sent again only where it was not done: the connection was never made, or Slack said that it refused. Where
//! the answer is lost, the message is looked for by its metadata. An update is sent again: twice the same changes nothing.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Level;

use super::api::{Caller, Trouble};
use super::message::{Message, Posted, check_ts, content, metadata};
use super::{Grant, find};
use crate::capability::{Secret, Services};
use crate::runtime::{Facts, LeaseLost};

/// The most messages of a run, updates included.
pub const MAX_POSTS: u32 = 50;

/// How often a message is sent when it was certainly not posted.
const MAX_TRIES: u32 = 3;

/// How long to wait before Slack is tried again that was out of reach.
const RECONNECT: Duration = Duration::from_secs(1);

/// What must be left of the run after a pause.
const MARGIN: Duration = Duration::from_secs(1);

/// Why a message was not posted, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The run must not act any more: this ends it, and is not for the job to see.
    #[error(transparent)]
    Lost(#[from] LeaseLost),
    /// No grant or no credentials.
    #[error("{0}")]
    Denied(String),
    /// Malformed or over a limit.
    #[error("{0}")]
    Invalid(String),
    /// Slack's error code.
    #[error("Slack refused the message: {0}")]
    Rejected(String),
    /// Slack asks to wait this many seconds.
    #[error("Slack asks to wait {0} seconds")]
    RateLimited(u32),
    /// Slack could not be reached or failed. The message may have been posted.
    #[error("{0}")]
    Unavailable(String),
}

/// What posts the messages of one run.
#[derive(Debug)]
pub struct Poster {
    grant: Grant,
    services: Services,
    facts: Arc<Facts>,
    posts: AtomicU32,
    /// Messages that may have been posted, each with its number.
    open: Mutex<Vec<(Map<String, Value>, u32)>>,
}

/// How a message goes out.
#[derive(Clone, Copy)]
enum Way<'a> {
    Webhook(&'a Secret),
    Token(&'a Secret),
}

impl Poster {
    /// What posts for a run with this grant.
    pub fn new(grant: Grant, services: Services, facts: Arc<Facts>) -> Self {
        Self { grant, services, facts, posts: AtomicU32::new(0), open: Mutex::default() }
    }

    /// Posts a message. Gives where it stands, if Slack tells it.
    ///
    /// The same message again, after its outcome was open, is looked for before it is sent.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn post(&self, message: Message) -> Result<Option<Posted>, Error> {
        self.watched(self.deliver(&message).await)
    }

    /// Replaces text and blocks of a message that this bot posted.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn update(&self, posted: Posted, message: Message) -> Result<Posted, Error> {
        self.watched(self.replace(&posted, &message).await)
    }

    /// Counts and logs what was denied.
    fn watched<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Denied(reason)) = &result {
            self.services.count_denied(&self.facts.job, "slack");
            self.facts.log.line(Level::WARN, &format!("a message was denied: {reason}"));
        }
        result
    }

    fn caller(&self) -> Caller<'_> {
        Caller { services: &self.services, facts: &self.facts }
    }

    fn next_number(&self) -> Result<u32, Error> {
        let number = self.posts.fetch_add(1, Ordering::Relaxed);
        if number >= MAX_POSTS {
            return Err(Error::Invalid(format!("the run has posted its {MAX_POSTS} messages")));
        }
        Ok(number + 1)
    }

    async fn deliver(&self, message: &Message) -> Result<Option<Posted>, Error> {
        self.grant.check(&self.facts.job, &message.channel).map_err(Error::Denied)?;
        let way = self.way(&message.channel, message.thread.is_some())?;
        let mut fields = content(message)?;
        let number = self.next_number()?;
        let token = match way {
            Way::Webhook(url) => {
                let body = Value::Object(fields).to_string();
                let sent = self.persist(&message.channel, || self.caller().webhook(url, body.clone())).await;
                return sent.map(|()| None).map_err(Error::from);
            }
            Way::Token(token) => token,
        };
        fields.insert("channel".to_owned(), Value::from(message.channel.as_str()));
        let number = match self.open_as(&fields) {
            Some(earlier) => match self.find(token, message, earlier).await {
                Ok(Some(found)) => return Ok(Some(found)),
                _ => earlier,
            },
            None => number,
        };
        let mut body = fields.clone();
        body.insert("metadata".to_owned(), metadata(&self.facts, number));
        let body = Value::Object(body).to_string();
        match self.persist(&message.channel, || self.caller().write(token, "chat.postMessage", body.clone())).await {
            Ok(answer) => Ok(self.posted(&message.channel, &answer)),
            Err(Trouble::Open(reason)) => {
                self.facts.log.line(Level::WARN, &format!("{reason}: looking whether the message is there"));
                match self.find(token, message, number).await {
                    Ok(Some(found)) => Ok(Some(found)),
                    Ok(None) => Err(self.leave_open(fields, number, &reason, "it was not found in the channel")),
                    Err(Trouble::Lost(lost)) => Err(lost.into()),
                    Err(trouble) => {
                        let why = format!("the channel cannot be looked at ({})", Error::from(trouble));
                        Err(self.leave_open(fields, number, &reason, &why))
                    }
                }
            }
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// The number of a message of this content whose outcome is open.
    fn open_as(&self, fields: &Map<String, Value>) -> Option<u32> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().find(|(content, _)| content == fields).map(|(_, number)| *number)
    }

    fn leave_open(&self, fields: Map<String, Value>, number: u32, reason: &str, why: &str) -> Error {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.iter().any(|(_, known)| *known == number) {
            open.push((fields, number));
        }
        Error::Unavailable(format!("{reason}; {why}, and the message may still have been posted"))
    }

    async fn find(&self, token: &Secret, message: &Message, number: u32) -> Result<Option<Posted>, Trouble> {
        let wanted = metadata(&self.facts, number);
        find::message(self.caller(), token, &message.channel, message.thread.as_deref(), &wanted).await
    }

    /// What the answer says of where the message stands.
    fn posted(&self, channel: &str, answer: &Value) -> Option<Posted> {
        let (id, ts) = (answer["channel"].as_str()?, answer["ts"].as_str()?);
        self.services.slack_ids().learn(channel, id);
        Some(Posted { channel: id.to_owned(), ts: ts.to_owned() })
    }

    async fn replace(&self, posted: &Posted, message: &Message) -> Result<Posted, Error> {
        let channel = &message.channel;
        self.grant.check(&self.facts.job, channel).map_err(Error::Denied)?;
        let Way::Token(token) = self.way(channel, true)? else {
            return Err(Error::Invalid("an update needs a bot token, and a webhook was given".to_owned()));
        };
        check_ts(&posted.ts)?;
        let mut fields = content(&Message { thread: None, ..message.clone() })?;
        self.next_number()?;
        self.check_id(token, channel, &posted.channel).await?;
        fields.insert("channel".to_owned(), Value::from(posted.channel.as_str()));
        fields.insert("ts".to_owned(), Value::from(posted.ts.as_str()));
        let body = Value::Object(fields).to_string();
        let update = || async {
            match self.caller().write(token, "chat.update", body.clone()).await {
                // Twice the same is as good as once.
                Err(Trouble::Open(reason)) => Err(Trouble::Unsent(reason)),
                result => result,
            }
        };
        self.persist(channel, update).await?;
        Ok(posted.clone())
    }

    /// That an id is the one of the granted channel: else a job could change this bot's messages elsewhere.
    async fn check_id(&self, token: &Secret, channel: &str, id: &str) -> Result<(), Error> {
        let known = find::id_of(self.caller(), token, channel).await;
        match known {
            Ok(Some(known)) if known == id => Ok(()),
            Ok(Some(_)) => {
                let shown = crate::runtime::clean(id, 32);
                Err(Error::Denied(format!("the message stands in `{shown}`, which is not `{channel}`")))
            }
            Ok(None) => Err(Error::Rejected("channel_not_found".to_owned())),
            Err(Trouble::Rejected(code)) => Err(Error::Denied(format!(
                "the id of `{channel}` cannot be looked up at Slack ({code}): give the token the scope `channels:read`, or \
                 grant the channel by its id"
            ))),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// The webhook for the channel, else the token; the token first where only it will do.
    fn way(&self, channel: &str, wants_token: bool) -> Result<Way<'_>, Error> {
        let credentials = self.services.slack();
        match (credentials.webhooks.get(channel), &credentials.token) {
            (Some(_), None) if wants_token => {
                Err(Error::Invalid("a reply or an update needs a bot token, and a webhook was given".to_owned()))
            }
            (Some(webhook), token) if !wants_token || token.is_none() => Ok(Way::Webhook(webhook)),
            (_, Some(token)) => Ok(Way::Token(token)),
            _ => Err(Error::Denied(super::no_credentials(channel))),
        }
    }

    /// Does it when it is the channel's turn, and again while it was certainly not done and there is time.
    async fn persist<T, F: Future<Output = Result<T, Trouble>>>(
        &self,
        channel: &str,
        once: impl Fn() -> F,
    ) -> Result<T, Trouble> {
        let mut tries = 1;
        loop {
            let latest = Instant::now() + self.facts.remaining().saturating_sub(MARGIN);
            let turn = self.services.slack_pace().turn(channel, latest);
            sleep_until(turn.map_err(|wait| Trouble::RateLimited(seconds(wait)))?).await;
            let trouble = match once().await {
                Err(trouble @ (Trouble::RateLimited(_) | Trouble::Unsent(_))) => trouble,
                result => return result,
            };
            let pause = match trouble {
                Trouble::RateLimited(wait) => Duration::from_secs(wait.into()),
                _ => RECONNECT,
            };
            self.services.slack_pace().rest(channel, pause);
            if tries == MAX_TRIES || pause + MARGIN >= self.facts.remaining() {
                return Err(trouble);
            }
            tries += 1;
            sleep(pause).await;
        }
    }
}

/// Whole seconds, rounded up.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
