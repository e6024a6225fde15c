//! The arbitration itself, pure: no socket, clock, thread or randomness of its own.
//!
//! Architecture Invariant: nothing here imports anything else of this crate.

pub mod contender;
mod observation;
mod record;
mod schedule;
mod seal;

pub use contender::Contender;
pub use observation::{Observation, Replaced, Revision};
pub use record::{
    Fence, MAX_ATTEMPT, MAX_EXTRA_BYTES, MAX_ID_BYTES, MAX_REASON_BYTES, MAX_RECORD_BYTES, MAX_TIME, Outcome, Record,
    State, Unreadable,
};
pub use schedule::{MAX_INTERVAL, Schedule};
pub use seal::Seal;
