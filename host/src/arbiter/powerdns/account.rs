//! The account at the API of PowerDNS: RRsets are replaced by one PATCH, which the server makes as one transaction.

use async_trait::async_trait;
use hickory_proto::rr::Name;
use reqwest::header::CONTENT_TYPE;

use super::super::account::{Account, ChangeError, RrSet};
use super::super::presentation::type_text;
use super::deadline::Deadline;
use super::{Lost, PowerDns, change};

/// An arbiter of no record: its client, zone and key.
pub(super) struct ZoneAccount(pub(super) PowerDns);

#[async_trait]
impl Account for ZoneAccount {
    async fn replace_rrsets(
        &self,
        rrsets: &[RrSet],
        may: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<(), ChangeError> {
        let Self(arbiter) = self;
        let change = change::replace(rrsets).map_err(|error| ChangeError::Refused(error.to_string()))?;
        let request = arbiter.client.patch(arbiter.asked.zone_url.clone()).header(CONTENT_TYPE, "application/json");
        if !may() {
            return Err(ChangeError::Withdrawn);
        }
        let unavailable = |reason: &str| {
            let reason = arbiter.key.hidden_in(reason);
            ChangeError::Unavailable(format!("the arbiter at `{}`: {reason}", arbiter.asked.place))
        };
        match Deadline::after(arbiter.timeout).bound(arbiter.exchange(request.body(change))).await {
            Some(Ok(answer)) => arbiter.asked.of_replace(&answer, &what(rrsets)).map_err(|error| match error {
                ChangeError::Refused(reason) => ChangeError::Refused(arbiter.key.hidden_in(&reason)),
                ChangeError::Unavailable(reason) => unavailable(&reason),
                ChangeError::Withdrawn => ChangeError::Withdrawn,
            }),
            Some(Err(Lost::NotSent(reason) | Lost::Answer(reason))) => Err(unavailable(&reason)),
            Some(Err(Lost::TooLong)) => Err(unavailable("an answer without end")),
            None => Err(unavailable("no answer in time")),
        }
    }

    fn zone(&self) -> &Name {
        &self.0.asked.zone
    }
}

/// The first of the RRsets, in words.
fn what(rrsets: &[RrSet]) -> String {
    rrsets
        .first()
        .map_or_else(String::new, |set| format!("{} records at `{}`", type_text(set.rtype), super::bare(&set.name)))
}
