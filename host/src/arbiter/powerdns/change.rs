//! Changes of a zone as the API takes them, and what its answers to them mean.

use std::borrow::Cow;

use hickory_proto::rr::RData;
use reqwest::StatusCode;
use serde::Serialize;

use super::super::presentation::{data_text, quoted, type_text};
use super::super::rrset::{ChangeError, RrSet};
use super::api::{Answer, Asked, absolute_text, code, words};
use super::content;

/// A change of a zone.
#[derive(Debug, Serialize)]
struct Patch<'a> {
    rrsets: Vec<Change<'a>>,
}

#[derive(Debug, Serialize)]
struct Change<'a> {
    name: String,
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    ttl: u32,
    changetype: &'a str,
    records: Vec<New>,
}

#[derive(Debug, Serialize)]
struct New {
    content: String,
    disabled: bool,
}

impl Asked {
    /// The change that leaves one TXT record of this value.
    ///
    /// # Errors
    /// It cannot be written as JSON, which cannot be.
    pub(super) fn change(&self, value: &[u8], ttl: u32) -> Result<Vec<u8>, serde_json::Error> {
        let records = vec![New { content: content::encode(value), disabled: false }];
        let name = absolute_text(&self.record);
        let change = Change { name, kind: "TXT".into(), ttl, changetype: "REPLACE", records };
        serde_json::to_vec(&Patch { rrsets: vec![change] })
    }

    /// What came of a change of RRsets, of which `what` is the first.
    pub(super) fn of_replace(&self, answer: &Answer, what: &str) -> Result<(), ChangeError> {
        if let Some(reason) = self.why_refused(answer, what) {
            return Err(ChangeError::Refused(reason));
        }
        match answer.status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
            status => Err(ChangeError::Unavailable(format!("the answer was {}{}", code(status), words(answer)))),
        }
    }
}

/// The change that leaves these RRsets.
///
/// # Errors
/// It cannot be written as JSON, which cannot be.
pub(super) fn replace(rrsets: &[RrSet]) -> Result<Vec<u8>, serde_json::Error> {
    let change = |set: &RrSet| {
        let records: Vec<New> =
            set.data.iter().map(|data| New { content: content_of(data), disabled: false }).collect();
        let changetype = if records.is_empty() { "DELETE" } else { "REPLACE" };
        let kind = type_text(set.rtype).into();
        Change { name: absolute_text(&set.name), kind, ttl: set.ttl, changetype, records }
    };
    // Deletions first: an alias may come in place of other records, and they in place of it.
    let (deleted, others): (Vec<&RrSet>, Vec<&RrSet>) = rrsets.iter().partition(|set| set.data.is_empty());
    serde_json::to_vec(&Patch { rrsets: deleted.into_iter().chain(others).map(change).collect() })
}

/// Data as the API has it: of a TXT record each string in quotes.
fn content_of(data: &RData) -> String {
    match data {
        RData::TXT(txt) => txt.txt_data.iter().map(|string| quoted(string)).collect::<Vec<_>>().join(" "),
        other => data_text(other),
    }
}
