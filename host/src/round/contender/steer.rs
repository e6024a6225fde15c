//! What an operator writes into a record to steer the whole fleet: pause, resume, trigger, and which module is to run. Each is one conditional
//! replacement of the record that was read; an agent that holds a round keeps it.

use super::{Now, Rules};
use crate::round::{MAX_TIME, Record, State};

/// What an operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steer {
    /// No round begins any more. A run under way may end.
    Pause {
        /// Why: shown by `status`, and to whoever reads the record.
        reason: String,
    },
    /// Rounds begin again, with the next due time: what was due during the pause is not made up for.
    Resume,
    /// Only agents that hold this module are to claim, where the job asks for the same one on all agents.
    Module {
        /// The first twelve hexadecimal digits of its digest.
        wanted: String,
    },
    /// One run now, whatever the schedule and a pause say.
    Trigger,
}

/// Why there is nothing to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsteered {
    /// It is paused already, for the same reason.
    #[error("the job is paused already")]
    IsPaused,
    /// It is not paused.
    #[error("the job is not paused")]
    IsNotPaused,
    /// That module is wanted already.
    #[error("the module {0} is wanted already")]
    IsWanted(String),
    /// A run is under way.
    #[error("a run is under way already, by `{by}`")]
    IsRunning {
        /// The agent's id.
        by: String,
    },
    /// A run was asked for already, and no agent has begun it yet.
    #[error("a run is asked for already, and no agent has begun it yet")]
    IsTriggered,
}

impl Steer {
    /// The record to write over `record`.
    ///
    /// # Errors
    /// There is nothing to write.
    pub fn apply(&self, record: &Record, rules: &Rules, now: Now) -> Result<Record, Unsteered> {
        let seconds = now.wall_seconds();
        let mut new = record.clone();
        match self {
            Self::Pause { reason } if record.paused.as_ref() == Some(reason) => return Err(Unsteered::IsPaused),
            Self::Pause { reason } => new.paused = Some(reason.clone()),
            Self::Resume => {
                new.paused.take().ok_or(Unsteered::IsNotPaused)?;
                if record.state == State::Idle && !record.triggered && record.timer <= seconds {
                    new.timer = rules.schedule.after(seconds).min(MAX_TIME - 1);
                }
            }
            Self::Module { wanted } if record.wanted.as_ref() == Some(wanted) => {
                return Err(Unsteered::IsWanted(wanted.clone()));
            }
            Self::Module { wanted } => new.wanted = Some(wanted.clone()),
            Self::Trigger if record.state.is_running() && seconds < record.timer => {
                return Err(Unsteered::IsRunning { by: record.id.clone() });
            }
            Self::Trigger if record.triggered => return Err(Unsteered::IsTriggered),
            Self::Trigger => {
                new.triggered = true;
                // A round of its own, which is none of those before.
                let last = record.fence.map_or(record.timerold, |fence| fence.round);
                new.timer = if record.state == State::Idle { seconds.max(last + 1) } else { seconds };
            }
        }
        Ok(new)
    }

    /// Whether what was written by it still holds, or was acted on, in a record that is seen later. Where the arbiter only
    /// overwrites, an agent's claim may have been written over it.
    pub fn holds(&self, written: &Record, seen: &Record) -> bool {
        match self {
            Self::Pause { reason } => seen.paused.as_ref() == Some(reason),
            Self::Resume => seen.paused.is_none(),
            Self::Module { wanted } => seen.wanted.as_ref() == Some(wanted),
            Self::Trigger => seen.triggered || seen.fence.is_some_and(|fence| fence.round >= written.timer),
        }
    }
}
