//! `soloist:job/slack`: messages to granted channels, by incoming webhook or bot token. The module never sees either.

mod api;
mod credentials;
mod find;
mod message;
mod pace;
mod post;

pub use credentials::{Credentials, SlackConfig};
pub(super) use find::Ids;
pub use message::{MAX_BLOCKS, MAX_TEXT, Message, Posted};
pub use pace::INTERVAL;
pub(super) use pace::Pace;
pub use post::{Error, MAX_POSTS, Poster};

use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};
use wasmtime::component::{HasSelf, Linker};

use super::{Capability, Granted};
use crate::runtime::State;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package soloist:host; world slack { import soloist:job/slack@0.1.0; }",
        path: "../wit",
        imports: { default: async | trappable },
    });
}

use bindings::soloist::job::slack as wit;

pub(super) const CAPABILITY: Capability = Capability {
    name: "slack",
    interfaces: &["soloist:job/slack@0.1.0"],
    grant: Some("slack = [\"#…\"]"),
    granted: |grants| grants.slack.is_some(),
    link: add_to_linker,
    enter,
};

/// The grant `slack = ["#ops"]`: channels, matched exactly as they stand here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant(Vec<String>);

/// The longest name of a channel, in bytes: twice what Slack allows.
const MAX_CHANNEL: usize = 160;

impl Grant {
    /// A grant of these channels.
    ///
    /// # Errors
    /// One of them is no channel.
    pub fn of<'a>(channels: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let channels: Vec<String> = channels.into_iter().map(str::to_owned).collect();
        let odd = |channel: &&String| {
            channel.is_empty()
                || channel.len() > MAX_CHANNEL
                || channel.chars().any(|c| c.is_control() || c.is_whitespace())
        };
        match channels.iter().find(odd) {
            Some(channel) => {
                Err(format!("`{channel}` is no channel: write its name or id, as in `#ops` or `C024BE91L`"))
            }
            None => Ok(Self(channels)),
        }
    }

    /// # Errors
    /// What is missing, with the line to write.
    fn check(&self, job: &str, channel: &str) -> Result<(), String> {
        if self.0.iter().any(|granted| granted == channel) {
            return Ok(());
        }
        let channel = crate::runtime::clean(channel, MAX_CHANNEL);
        let line: Vec<String> = self.0.iter().chain([&channel]).map(|channel| format!("\"{channel}\"")).collect();
        Err(format!(
            "job `{job}` was not granted the channel `{channel}`: write `slack = [{}]` under `[job.{job}.grants]`",
            line.join(", ")
        ))
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let channels = Vec::<String>::deserialize(deserializer)?;
        Self::of(channels.iter().map(String::as_str)).map_err(de::Error::custom)
    }
}

/// What to write where a channel has no credentials.
fn no_credentials(channel: &str) -> String {
    format!(
        "the host has no Slack credentials for `{channel}`: write `token-file = \"…\"` under `[slack]`, or `\"{channel}\" = \
         {{ file = \"…\" }}` under `[slack.webhooks]`"
    )
}

/// That every channel of a grant has credentials.
///
/// # Errors
/// What to write for the first that has none.
pub(super) fn check_credentials(grant: &Grant, credentials: &Credentials) -> Result<(), String> {
    credentials.missing_for(grant).map_or(Ok(()), |channel| Err(no_credentials(channel)))
}

/// What messages keep for a run.
struct Context {
    poster: Arc<Poster>,
}

fn enter(granted: &Granted, state: &mut State) {
    let grant = granted.grants.slack.clone().unwrap_or_default();
    let poster = Arc::new(Poster::new(grant, granted.services.clone(), Arc::clone(state.facts())));
    state.extensions.insert(Context { poster });
}

impl wit::Host for State {
    async fn post(&mut self, message: wit::Message) -> wasmtime::Result<Result<Option<wit::Posted>, wit::Error>> {
        self.facts().check()?;
        let poster = Arc::clone(&self.extensions.get::<Context>()?.poster);
        let result = poster.post(message.into()).await;
        answer(result.map(|posted| posted.map(|Posted { channel, ts }| wit::Posted { channel, ts })))
    }

    async fn update(
        &mut self,
        there: wit::Posted,
        message: wit::Message,
    ) -> wasmtime::Result<Result<wit::Posted, wit::Error>> {
        self.facts().check()?;
        let poster = Arc::clone(&self.extensions.get::<Context>()?.poster);
        let wit::Posted { channel, ts } = there;
        let updated = poster.update(Posted { channel, ts }, message.into()).await;
        answer(updated.map(|Posted { channel, ts }| wit::Posted { channel, ts }))
    }
}

impl From<wit::Message> for Message {
    fn from(message: wit::Message) -> Self {
        let wit::Message { channel, text, blocks, thread } = message;
        Self { channel, text, blocks, thread }
    }
}

/// What the module is told; a lost lease ends it instead.
fn answer<T>(result: Result<T, Error>) -> wasmtime::Result<Result<T, wit::Error>> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(Error::Lost(lost)) => Err(lost.into()),
        Err(Error::Denied(reason)) => Ok(Err(wit::Error::Denied(reason))),
        Err(Error::Invalid(reason)) => Ok(Err(wit::Error::Invalid(reason))),
        Err(Error::Rejected(code)) => Ok(Err(wit::Error::Rejected(code))),
        Err(Error::RateLimited(seconds)) => Ok(Err(wit::Error::RateLimited(seconds))),
        Err(Error::Unavailable(reason)) => Ok(Err(wit::Error::Unavailable(reason))),
    }
}

fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_matches_exactly_as_granted() {
        let grant = Grant::of(["#ops", "C024BE91L"]).unwrap();
        assert!(grant.check("canary", "#ops").is_ok());
        assert!(grant.check("canary", "C024BE91L").is_ok());
        for other in ["ops", "#Ops", "#ops ", "#op", "#opsx", ""] {
            assert!(grant.check("canary", other).is_err(), "{other}");
        }
        assert_eq!(
            grant.check("canary", "#dev").unwrap_err(),
            "job `canary` was not granted the channel `#dev`: write `slack = [\"#ops\", \"C024BE91L\", \"#dev\"]` under \
             `[job.canary.grants]`"
        );
    }

    #[test]
    fn what_is_no_channel_is_refused() {
        for channel in ["", "#a b", "#a\n", &"x".repeat(200)] {
            assert!(Grant::of([channel]).is_err(), "{channel}");
        }
    }
}
