//! Where a job's record lives, and how it is replaced on a condition: the trait, and one file a provider.

pub mod clock;
pub mod memory;
pub mod rfc2136;
pub mod tsig;

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::{boot_ms, wall_ms};
use crate::round::contender::Now;
use crate::round::{Observation, Replaced, Revision};

/// What an arbiter can promise about a round's winner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// The arbiter compares and swaps: a round has exactly one winner.
    CompareAndSwap,
}

/// One TXT record, at its authority.
#[async_trait]
pub trait Arbiter: Send + Sync {
    /// Reads the record at the authority, never through a cache. Bounded in time by the arbiter itself.
    async fn read(&self) -> Result<Observation, Error>;

    /// Replaces the whole RRset by one TXT record of this value, on condition that it still is what `expected` says
    /// ([`Revision::Absent`]: on condition that there is none).
    ///
    /// A refused condition is [`Replaced::Conflict`]; whatever leaves open whether the record was written is
    /// [`Replaced::Unknown`]. An error means that nothing was written. The request is sent once: never retransmitted.
    async fn replace(&self, expected: &Revision, value: &[u8]) -> Result<Replaced, Error>;

    /// What this arbiter promises.
    fn promise(&self) -> Promise;

    /// Where the record lives, for people: `canary.example.com at 192.0.2.1:53`.
    fn place(&self) -> String;

    /// The arbiter's own clock, where its answers show it: one for all the arbiters at a server.
    fn clock(&self) -> Option<Arc<clock::Clock>> {
        None
    }
}

/// The time to go by at an arbiter: its own, as far as it has shown it, or else this machine's.
pub fn now(arbiter: &dyn Arbiter) -> Now {
    arbiter.clock().map_or_else(|| Now { wall_ms: wall_ms(), mono_ms: boot_ms() }, |clock| clock.now())
}

/// Why an arbiter could not be read or asked to write. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arbiter could not be reached, or did not answer in time.
    #[error("the arbiter at `{place}` does not answer: {reason}")]
    Unreachable {
        /// Its address.
        place: String,
        /// What happened.
        reason: String,
    },
    /// The arbiter refused us: wrong key, no permission, not its zone.
    #[error("the arbiter at `{place}` refused: {reason}")]
    Refused {
        /// Its address.
        place: String,
        /// What it said, in words, with what to check.
        reason: String,
    },
    /// The answer makes no sense.
    #[error("the arbiter at `{place}` answered nonsense: {reason}")]
    Nonsense {
        /// Its address.
        place: String,
        /// What was wrong.
        reason: String,
    },
}
