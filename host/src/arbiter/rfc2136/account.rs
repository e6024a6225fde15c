//! The account at a primary that takes RFC 2136 updates: RRsets are replaced by one signed UPDATE, on a connection apart from
//! that of the records, so that no job holds up a claim.

use async_trait::async_trait;
use hickory_proto::rr::Name;

use super::super::account::{Account, ChangeError, RrSet};
use super::super::presentation::type_text;
use super::answer::{self, Asked};
use super::connection::Failure;
use super::{Judged, Rfc2136, message};

/// An arbiter of no record: its connection, zone and key.
pub(super) struct ZoneAccount(pub(super) Rfc2136);

impl ZoneAccount {
    /// What is asked, for the words of an error.
    fn asked(&self, rrsets: &[RrSet]) -> Asked {
        let Rfc2136 { asked, .. } = &self.0;
        let Some(first) = rrsets.first() else { return asked.clone() };
        let mut kinds: Vec<String> = Vec::new();
        for kind in rrsets.iter().filter(|set| set.name == first.name).map(|set| type_text(set.rtype)) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        Asked { record: first.name.clone(), kinds: kinds.join(" "), ..asked.clone() }
    }
}

#[async_trait]
impl Account for ZoneAccount {
    async fn replace_rrsets(
        &self,
        rrsets: &[RrSet],
        may: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<(), ChangeError> {
        let Self(arbiter) = self;
        let update = message::replace(&arbiter.asked.zone, rrsets);
        let at = arbiter.clock.now().wall_seconds();
        match arbiter.exchange_if(update, &arbiter.key.signer(), at, may).await {
            Ok(Judged { answer, signed, .. }) => answer::of_change(&answer, &signed, &self.asked(rrsets)),
            Err(Failure::Withdrawn) => Err(ChangeError::Withdrawn),
            Err(failure) => {
                Err(ChangeError::Unavailable(format!("the arbiter at `{}`: {failure}", arbiter.asked.place)))
            }
        }
    }

    fn zone(&self) -> &Name {
        &self.0.asked.zone
    }
}
