//! Where a job's record lives, and how it is replaced on a condition: the trait, and one file a provider.

pub mod account;
pub mod clock;
mod error;
pub mod memory;
mod options;
pub mod powerdns;
pub mod presentation;
pub mod rfc2136;
mod rrset;
pub mod tsig;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::error::Error;
use crate::clock::{boot_ms, wall_ms};
use crate::round::contender::{Now, Settle};
use crate::round::{Observation, Replaced, Revision};

/// What an arbiter can promise about a round's winner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// The arbiter compares and swaps: a round has exactly one winner.
    CompareAndSwap,
    /// The arbiter only overwrites: a claim is written only where nothing has changed since it was read, and stands only if it
    /// is read back, so long after and so often, as it was written. Best effort: it holds as long as no write is applied later
    /// than that wait after the read that it rests on.
    Settle(Settle),
}

/// In one line, for whoever starts an agent.
impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CompareAndSwap => f.write_str("compare-and-swap: a round has exactly one winner"),
            Self::Settle(Settle { wait_ms, .. }) => write!(
                f,
                "settle: best effort: the arbiter only overwrites, so a claim is read back {} after it was written, before \
                 its run begins; should a write be delayed for longer than that, a round can have two winners",
                humantime::format_duration(Duration::from_millis(*wait_ms))
            ),
        }
    }
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

    /// The account that it writes by, where there is a zone around the record; with a connection of its own, opened when it
    /// is needed.
    fn account(&self) -> Option<Arc<dyn account::Account>> {
        None
    }

    /// The arbiter's own clock, where its answers show it: one for all the arbiters at a server.
    fn clock(&self) -> Option<Arc<clock::Clock>> {
        None
    }
}

/// The time to go by at an arbiter: its own, as far as it has shown it, or else this machine's.
pub fn now(arbiter: &dyn Arbiter) -> Now {
    arbiter.clock().map_or_else(|| Now { wall_ms: wall_ms(), mono_ms: boot_ms() }, |clock| clock.now())
}
