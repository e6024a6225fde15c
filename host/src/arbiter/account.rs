//! What an arbiter's account may change beside its record: whole RRsets of the zone, for jobs that were granted them.

use async_trait::async_trait;
use hickory_proto::rr::Name;

pub use super::rrset::{ChangeError, RrSet};

/// The account by which an arbiter writes its record.
#[async_trait]
pub trait Account: Send + Sync {
    /// Replaces these RRsets, all of them or none, in one request that is sent at most once. `may` is asked right before that
    /// whether it is still wanted. Bounded in time by the arbiter itself.
    ///
    /// The names are in [`zone`](Self::zone), no RRset is named twice, and an alias (CNAME) shares its name with nothing else
    /// of the request. An alias that would share it with what stands there is refused, like what would share its name with an
    /// alias.
    async fn replace_rrsets(&self, rrsets: &[RrSet], may: &(dyn Fn() -> bool + Send + Sync))
    -> Result<(), ChangeError>;

    /// The zone, absolute and in lower case.
    fn zone(&self) -> &Name;
}
