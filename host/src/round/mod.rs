//! The arbitration itself, pure: no socket, clock, thread or randomness of its own.
//!
//! Architecture Invariant: nothing here imports anything else of this crate.

mod observation;
mod record;

pub use observation::{Observation, Replaced, Revision};
pub use record::{Fence, MAX_ID_BYTES, MAX_RECORD_BYTES, MAX_TIME, Outcome, Record, State, Unreadable};
