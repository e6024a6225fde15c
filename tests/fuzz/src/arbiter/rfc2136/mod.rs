//! What a primary's answers mean, fed with answers that no primary gave.

#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../../host/src/arbiter/rfc2136/answer.rs"]
mod answer;
#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../../host/src/arbiter/rfc2136/message.rs"]
mod message;

use hickory_proto::op::{DnsResponse, Message};
use hickory_proto::rr::{Name, TSigVerifier};

use self::answer::Asked;
use super::Error;
use super::tsig::Key;
use crate::round::{Observation, Replaced, Revision};

/// An arbiter without a connection.
pub struct Judge {
    asked: Asked,
    key: Key,
}

/// An update that was signed, and what verifies its answer.
pub struct Sent {
    /// The MAC over it.
    pub mac: Vec<u8>,
    verifier: TSigVerifier,
}

impl Judge {
    /// The judge of answers about `record` in `zone`, both absolute and in lower case.
    pub fn new(zone: Name, record: Name, key: Key) -> Self {
        let (place, algorithm) = ("192.0.2.1:53".to_owned(), key.algorithm().name());
        Self { asked: Asked { place, zone, record, key: bare(key.name()), algorithm }, key }
    }

    /// What stands at the name, by the answer to a query.
    ///
    /// # Errors
    /// As of the arbiter.
    pub fn of_query(&self, answer: &DnsResponse) -> Result<Observation, Error> {
        answer::of_query(answer, &self.asked)
    }

    /// The update that puts `value` in place of what `expected` says; none where that is no revision of this arbiter.
    pub fn update(&self, expected: &Revision, value: &[u8]) -> Option<Message> {
        message::update(&self.asked.zone, &self.asked.record, expected, message::txt(value), 60)
    }

    /// An update that was signed at the second `now`.
    pub fn sent(&self, now: u64) -> Sent {
        let mut update = self.update(&Revision::Absent, b"new").expect("the absence is a revision");
        let verifier = update.finalize(&self.key.signer(), now).expect("it is signed").expect("it is verified");
        let mac = update.signature().expect("it is signed").data.mac.clone();
        Sent { mac, verifier }
    }

    /// What came of it, by the answer.
    ///
    /// # Errors
    /// As of the arbiter.
    pub fn of_update(&self, answer: &DnsResponse, mut sent: Sent) -> Result<Replaced, Error> {
        answer::of_update(answer, &mut sent.verifier, &[message::txt(b"new")], &self.asked)
    }
}

/// A name as people write it: without the dot at its end.
fn bare(name: &Name) -> String {
    name.to_string().trim_end_matches('.').to_owned()
}
