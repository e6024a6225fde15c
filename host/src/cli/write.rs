//! Writes a record on a condition, with the patience that people have: asks again what has no answer, a bounded number
//! of times.

use anyhow::bail;

use crate::arbiter::Arbiter;
use crate::round::{Observation, Replaced, Revision};

/// How often a write of unknown outcome is asked again.
const TRIES: u32 = 5;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    /// It is written.
    Yes,
    /// Somebody else wrote at the same time: nothing was overwritten.
    Conflict,
}

/// Replaces what was seen by this value.
///
/// # Errors
/// The arbiter cannot be asked, or gives no word whether it was written.
pub(super) async fn replace(arbiter: &dyn Arbiter, seen: &Observation, value: &[u8]) -> anyhow::Result<Wrote> {
    for _ in 0..TRIES {
        match arbiter.replace(&seen.revision, value).await? {
            Replaced::Applied(_) => return Ok(Wrote::Yes),
            outcome => match (outcome, found(arbiter, &seen.revision, value).await?) {
                (_, Found::Ours) => return Ok(Wrote::Yes),
                (_, Found::Another) | (Replaced::Conflict, Found::AsBefore) => return Ok(Wrote::Conflict),
                (_, Found::AsBefore) => {}
            },
        }
    }
    bail!("no word from the arbiter whether the record was written, {TRIES} times")
}

enum Found {
    Ours,
    AsBefore,
    Another,
}

async fn found(arbiter: &dyn Arbiter, before: &Revision, value: &[u8]) -> anyhow::Result<Found> {
    let now = arbiter.read().await?;
    Ok(if now.is(value) {
        Found::Ours
    } else if now.revision == *before {
        Found::AsBefore
    } else {
        Found::Another
    })
}
