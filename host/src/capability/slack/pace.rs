//! How often a channel is posted to: once a second, as Slack documents
//! (`https://docs.slack.dev/apis/web-api/rate-limits`), whichever of the agent's jobs posts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The least time between two messages to one channel.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// When each channel may be posted to next. Channels are those of the configuration, so that there are only so many.
#[derive(Debug, Default)]
pub(in crate::capability) struct Pace(Mutex<HashMap<String, Instant>>);

impl Pace {
    /// Takes the channel's next turn, if it comes before `latest`.
    ///
    /// # Errors
    /// It comes later: how long from now. No turn is taken.
    pub(super) fn turn(&self, channel: &str, latest: Instant) -> Result<Instant, Duration> {
        self.turn_from(Instant::now(), channel, latest)
    }

    fn turn_from(&self, now: Instant, channel: &str, latest: Instant) -> Result<Instant, Duration> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.get(channel).map_or(now, |next| now.max(*next));
        if turn > now && turn >= latest {
            return Err(turn - now);
        }
        turns.insert(channel.to_owned(), turn + INTERVAL);
        Ok(turn)
    }

    /// Nobody posts to the channel for this long.
    pub(super) fn rest(&self, channel: &str, time: Duration) {
        self.rest_from(Instant::now(), channel, time);
    }

    fn rest_from(&self, now: Instant, channel: &str, time: Duration) {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = now + time;
        let turn = turns.entry(channel.to_owned()).or_insert(next);
        *turn = next.max(*turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_has_a_turn_a_second_and_others_do_not_wait_for_it() {
        let (pace, begun) = (Pace::default(), Instant::now());
        let latest = begun + Duration::from_secs(10);
        for turn in 0..3 {
            assert_eq!(pace.turn_from(begun, "#ops", latest), Ok(begun + turn * INTERVAL));
        }
        assert_eq!(pace.turn_from(begun, "#status", latest), Ok(begun));
        assert_eq!(pace.turn_from(begun, "#ops", begun + INTERVAL), Err(3 * INTERVAL), "it would come too late");
        pace.rest_from(begun, "#ops", Duration::from_secs(5));
        // A shorter wait takes nothing from a longer one.
        pace.rest_from(begun, "#ops", Duration::from_secs(1));
        assert_eq!(pace.turn_from(begun, "#ops", latest), Ok(begun + Duration::from_secs(5)));
    }
}
