//! The arbitration itself, pure: no socket, clock, thread or randomness of its own.
//!
//! Architecture Invariant: nothing here imports anything else of this crate.

mod clock;
pub mod contender;
mod data;
mod observation;
mod record;
mod schedule;
mod seal;

pub use clock::{ArbiterClock, Shown};
pub use contender::Contender;
pub use data::{Change, Data, MAX_DATA_BYTES};
pub use observation::{Observation, Replaced, Revision};
pub use record::{
    Fence, MAX_ATTEMPT, MAX_EXTRA_BYTES, MAX_ID_BYTES, MAX_REASON_BYTES, MAX_RECORD_BYTES, MAX_TIME, Outcome, Record,
    State, Unreadable,
};
pub use schedule::{CronError, MAX_BEFORE, MAX_CRON, MAX_INTERVAL, Schedule};
pub use seal::{Form, KEY_BYTES, MAX_SEAL_KEYS, Seal, SealKey, Sealed, Unopened};
