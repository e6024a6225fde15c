//! What a primary's answers mean, fed with answers that no primary gave.

#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../../host/src/arbiter/rfc2136/answer.rs"]
mod answer;
#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../../host/src/arbiter/rfc2136/message.rs"]
mod message;

use hickory_proto::op::{DnsResponse, Message};
use hickory_proto::rr::Name;

use self::answer::{Asked, Signed};
use super::Error;
use super::options::bare;
use super::tsig::Key;
use crate::round::{Observation, Replaced, Revision};

/// An arbiter without a connection.
pub struct Judge {
    asked: Asked,
    key: Key,
}

impl Judge {
    /// The judge of answers about `record` in `zone`, both absolute and in lower case.
    pub fn new(zone: Name, record: Name, key: Key) -> Self {
        let (place, algorithm) = ("192.0.2.1:53".to_owned(), key.algorithm().name());
        let kinds = "TXT".to_owned();
        Self { asked: Asked { place, zone, record, kinds, key: bare(key.name()), algorithm }, key }
    }

    /// What stands at the name, by the answer to a query that was signed with this MAC.
    ///
    /// # Errors
    /// As of the arbiter.
    pub fn of_query(&self, answer: &DnsResponse, mac: &[u8]) -> Result<Observation, Error> {
        answer::of_query(answer, &Signed::check(answer, &self.key.signer(), mac), &self.asked)
    }

    /// The update that puts `value` in place of what `expected` says; none where that is no revision of this arbiter.
    pub fn update(&self, expected: &Revision, value: &[u8]) -> Option<Message> {
        message::update(&self.asked.zone, &self.asked.record, expected, message::txt(value), 60)
    }

    /// The MAC of an update that was signed at the second `now`.
    ///
    /// # Panics
    /// It cannot be signed.
    pub fn mac(&self, now: u64) -> Vec<u8> {
        let mut update = self.update(&Revision::Absent, b"new").expect("the absence is a revision");
        update.finalize(&self.key.signer(), now).expect("it is signed");
        update.signature().expect("it is signed").data.mac.clone()
    }

    /// What came of the update with this MAC, by the answer.
    ///
    /// # Errors
    /// As of the arbiter.
    pub fn of_update(&self, answer: &DnsResponse, mac: &[u8]) -> Result<Replaced, Error> {
        let signed = Signed::check(answer, &self.key.signer(), mac);
        answer::of_update(answer, &signed, &[message::txt(b"new")], &self.asked)
    }
}
