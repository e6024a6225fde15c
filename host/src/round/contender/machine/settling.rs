//! A claim at an arbiter that only overwrites: it stands when it is read back, some time later, as it was written
//! (Fischer's timed mutual exclusion).

use std::mem;

use super::super::{Notice, Now};
use super::{Bid, Contender, Phase, Run};
use crate::round::{Fence, Observation, Revision};

/// A claim that was written, and is not sure to stand.
#[derive(Debug, Clone, Hash)]
pub(super) struct Settling {
    bid: Bid,
    /// How often it is to be read back yet.
    reads: u32,
}

impl Contender {
    /// A claim was applied.
    pub(super) fn claimed(&mut self, now: Now, bid: Bid, revision: Revision, fence: Fence) {
        let Some(settle) = self.rules.settle else { return self.won(now, bid, revision, fence) };
        if now.mono_ms.saturating_sub(bid.rests_on_ms) >= settle.wait_ms {
            // Another claim may have settled by the time this one was written over it, and its run be under way: nobody
            // begins before both are over.
            self.abandoned = Some(fence);
            self.notice(Notice::Unknown("the claim was written too late to be relied on".to_owned()));
            return self.read(now);
        }
        // Later than any claim that may still be written over this one.
        let until_ms = now.mono_ms + settle.wait_ms + 1;
        self.phase = Phase::Settling { settling: Settling { bid, reads: settle.reads }, until_ms };
    }

    /// The time has come to read a claim back.
    pub(super) fn look_again(&mut self, now: Now) {
        if let Phase::Settling { settling, .. } = mem::replace(&mut self.phase, Phase::Holding) {
            self.read(now);
            self.phase = Phase::Confirming(settling);
        }
    }

    /// What a claim that was read back says.
    pub(super) fn confirm(&mut self, now: Now, mut settling: Settling, seen: Result<Observation, String>) {
        match seen {
            Ok(observation) if !observation.is(&settling.bid.value) => {
                self.lost(&settling.bid);
                self.decide(now, &observation);
            }
            Ok(observation) => {
                settling.reads = settling.reads.saturating_sub(1);
                if settling.reads == 0 {
                    let fence = settling.bid.record.fence.unwrap_or(Fence { round: 0, attempt: 1 });
                    return self.won(now, settling.bid, observation.revision, fence);
                }
                let apart_ms = self.rules.settle.map_or(0, |settle| settle.wait_ms / u64::from(settle.reads.max(1)));
                self.phase = Phase::Settling { settling, until_ms: now.mono_ms + apart_ms };
            }
            Err(reason) => {
                self.notice(Notice::ReadFailed(reason));
                let until_ms = now.mono_ms + self.trouble();
                self.phase = Phase::Settling { settling, until_ms };
            }
        }
    }

    /// Whether another agent may have claimed by the time that a write over our claim arrives: nothing is written then but on
    /// the word of a fresh read.
    pub(super) fn is_too_late(&self, run: &Run, now: Now) -> bool {
        self.rules.settle.is_some_and(|settle| run.lease_until_ms < now.mono_ms + settle.wait_ms)
    }

    /// Whether the last read took so long that no claim can rest on it.
    pub(super) fn is_slow(&self, now: Now) -> bool {
        self.rules.settle.is_some_and(|settle| now.mono_ms.saturating_sub(self.read_ms) > settle.wait_ms / 2)
    }
}
