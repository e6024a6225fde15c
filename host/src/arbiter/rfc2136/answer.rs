//! What a primary's answer means. Nothing that is not signed with our key is believed to say that a record was
//! written, or that it was not written because another stood there.

use hickory_proto::op::{DnsResponse, OpCode, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigError;
use hickory_proto::rr::{Name, RData, RecordType, TSigner, rdata::TXT};

use super::super::Error;
use super::super::options::bare;
use super::super::presentation::code_text;
use super::super::rrset::ChangeError;
use super::message;
use crate::round::{Observation, Replaced};

/// What was asked of whom: for the words of an error.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The server's address.
    pub(super) place: String,
    /// The zone, absolute and in lower case.
    pub(super) zone: Name,
    /// The record's name, absolute and in lower case.
    pub(super) record: Name,
    /// The types of the records there.
    pub(super) kinds: String,
    /// The key's name, as people write it.
    pub(super) key: String,
    /// The key's algorithm.
    pub(super) algorithm: &'static str,
}

impl Asked {
    fn refused(&self, reason: String) -> Error {
        Error::Refused { place: self.place.clone(), reason }
    }

    fn nonsense(&self, reason: String) -> Error {
        Error::Nonsense { place: self.place.clone(), reason }
    }

    fn record(&self) -> String {
        bare(&self.record)
    }

    fn zone(&self) -> String {
        bare(&self.zone)
    }
}

/// What an answer's signature says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// There is none, or one without content, as a server signs that cannot verify ours.
    No,
    /// It is our key's, under the answer to this very request.
    Well {
        /// When the server signed, by its own clock, in seconds since the Unix epoch.
        second: u64,
    },
    /// It is another one: why it was not accepted.
    Wrong(String),
}

impl Signed {
    /// Checks the signature of the answer to a request that was signed with this MAC.
    ///
    /// The request's MAC is part of what is signed, so an old answer can be none to this request whatever time it shows;
    /// and the time that it shows is what we want to learn, not what we could judge it by.
    pub(super) fn check(answer: &DnsResponse, signer: &TSigner, request_mac: &[u8]) -> Self {
        let Some(tsig) = answer.signature().map(|signature| &signature.data) else { return Self::No };
        if tsig.mac.is_empty() {
            return Self::No;
        }
        // hickory takes the one from the other without a look, after it has verified the signature.
        if tsig.time < u64::from(tsig.fudge) {
            return Self::Wrong("it is from 1970".to_owned());
        }
        match signer.verify_message_byte(answer.as_buffer(), Some(request_mac), true) {
            Ok(_) => Self::Well { second: server_time(tsig.error, &tsig.other).unwrap_or(tsig.time) },
            Err(error) => Self::Wrong(why(&error.to_string())),
        }
    }
}

/// The server's time in a BADTIME, whose answer is signed under our own (RFC 8945, section 5.2.3).
fn server_time(error: Option<TsigError>, other: &[u8]) -> Option<u64> {
    let other: [u8; 6] = other.try_into().ok().filter(|_| error == Some(TsigError::BadTime))?;
    Some(other.iter().fold(0, |time, byte| time << 8 | u64::from(*byte)))
}

/// What stands at the name, from the answer to a signed query for its TXT records.
///
/// An answer without a signature is read too: a server need not sign those to questions that anybody may ask.
pub(super) fn of_query(answer: &DnsResponse, signed: &Signed, asked: &Asked) -> Result<Observation, Error> {
    let (zone, record) = (asked.zone(), asked.record());
    if let Signed::Wrong(reason) = signed {
        return Err(asked.nonsense(format!("an answer that is not signed with the key `{}`: {reason}", asked.key)));
    }
    let ours = answer.op_code == OpCode::Query;
    let echoed =
        answer.queries.iter().all(|query| *query.name() == asked.record && query.query_type() == RecordType::TXT);
    if !ours || !echoed || answer.truncation {
        return Err(asked.nonsense(format!("no whole answer to a query for TXT records at `{record}`")));
    }
    match answer.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        ResponseCode::Refused => {
            let reason = format!("REFUSED for `{record}`: check that it serves the zone `{zone}` to this address");
            return Err(asked.refused(reason));
        }
        ResponseCode::NotAuth => {
            let tsig = answer.signature().and_then(|signature| signature.data.error);
            let reason = tsig.and_then(|_| refusal(answer, signed, asked)).unwrap_or_else(|| {
                format!(
                    "NOTAUTH: it does not serve the zone `{zone}`, does not know the key `{}`, or has another secret \
                     for it; or the clocks are more than 18 h apart",
                    asked.key
                )
            });
            return Err(asked.refused(reason));
        }
        ResponseCode::ServFail => {
            let reason = format!("it failed (SERVFAIL): check in its log that the zone `{zone}` is loaded");
            return Err(Error::Unreachable { place: asked.place.clone(), reason });
        }
        code => return Err(asked.nonsense(format!("{} to a query for `{record}`", code_text(code)))),
    }
    if !answer.authoritative {
        let reason = format!(
            "it is not authoritative for `{record}`: check that it is the primary of `{zone}`, and that no part of the \
             zone is delegated there"
        );
        return Err(asked.refused(reason));
    }
    if let Some(soa) = answer.authorities.iter().find(|found| found.record_type() == RecordType::SOA)
        && soa.name != asked.zone
    {
        let reason = format!("`{record}` is in its zone `{}`, not in `{zone}`", bare(&soa.name));
        return Err(asked.refused(reason));
    }
    let mut rrset: Vec<TXT> = Vec::new();
    for found in &answer.answers {
        match &found.data {
            RData::TXT(txt) if found.name == asked.record => rrset.push(txt.clone()),
            RData::CNAME(alias) if found.name == asked.record => {
                let reason = format!("`{record}` is an alias (CNAME) of `{}`: it can hold no record", bare(&alias.0));
                return Err(asked.nonsense(reason));
            }
            // Signatures of a signed zone, and the redirections that lead to an alias.
            _ => {}
        }
    }
    let mut values: Vec<Vec<u8>> = rrset.iter().map(message::value).collect();
    values.sort();
    Ok(Observation { revision: message::revision(&rrset), values })
}

/// What came of an update that would have left these records at the name.
pub(super) fn of_update(answer: &DnsResponse, signed: &Signed, new: &[TXT], asked: &Asked) -> Result<Replaced, Error> {
    if answer.op_code != OpCode::Update {
        return Ok(Replaced::Unknown("the answer is none to an update".to_owned()));
    }
    if let Some(reason) = refusal(answer, signed, asked) {
        return Err(asked.refused(reason));
    }
    let code = answer.response_code;
    let wrong = match signed {
        Signed::Well { .. } => None,
        Signed::No => Some("it has no signature"),
        Signed::Wrong(reason) => Some(reason.as_str()),
    };
    if let Some(reason) = wrong {
        let key = &asked.key;
        let reason = format!("an answer ({}) that is not signed with the key `{key}`: {reason}", code_text(code));
        return Ok(Replaced::Unknown(reason));
    }
    Ok(match code {
        ResponseCode::NoError => Replaced::Applied(message::revision(new)),
        ResponseCode::NXRRSet | ResponseCode::YXRRSet | ResponseCode::NXDomain | ResponseCode::YXDomain => {
            Replaced::Conflict
        }
        ResponseCode::ServFail => Replaced::Unknown("the server failed (SERVFAIL)".to_owned()),
        code => Replaced::Unknown(format!("the answer was {}", code_text(code))),
    })
}

/// What came of a change of RRsets.
pub(super) fn of_change(answer: &DnsResponse, signed: &Signed, asked: &Asked) -> Result<(), ChangeError> {
    let place = &asked.place;
    let unavailable = |reason: &str| Err(ChangeError::Unavailable(format!("the arbiter at `{place}`: {reason}")));
    if answer.op_code != OpCode::Update {
        return unavailable("the answer is none to an update");
    }
    if let Some(reason) = refusal(answer, signed, asked) {
        return Err(ChangeError::Refused(reason));
    }
    match (signed, answer.response_code) {
        (Signed::Well { .. }, ResponseCode::NoError) => Ok(()),
        (Signed::Well { .. }, ResponseCode::ServFail) => unavailable("it failed (SERVFAIL)"),
        (Signed::Well { .. }, code @ ResponseCode::YXRRSet) => Err(ChangeError::Refused(format!(
            "{}: at one of the names, records stand that an alias (CNAME) cannot be beside; nothing was changed",
            code_text(code)
        ))),
        (Signed::Well { .. }, code) => Err(ChangeError::Refused(format!("{}: nothing was changed", code_text(code)))),
        (Signed::No, code) => unavailable(&format!("an answer ({}) that has no signature", code_text(code))),
        (Signed::Wrong(reason), code) => unavailable(&format!(
            "an answer ({}) that is not signed with the key `{}`: {reason}",
            code_text(code),
            asked.key
        )),
    }
}

/// Why the server did not do what was asked, with what to check; none if that is not what it says.
///
/// A server that cannot verify our signature cannot sign its refusal either, so this much is believed unsigned: the
/// worst that a forged refusal does is what dropping the answer does.
fn refusal(answer: &DnsResponse, signed: &Signed, asked: &Asked) -> Option<String> {
    let Asked { key, algorithm, kinds, .. } = asked;
    let (zone, record) = (asked.zone(), asked.record());
    let signature = answer.signature().map(|signature| &signature.data);
    let reason = match (answer.response_code, signature.and_then(|tsig| tsig.error)) {
        (ResponseCode::NotAuth, Some(TsigError::BadKey)) => format!(
            "BADKEY: it does not know the key `{key}` with {algorithm}: check the key's name and algorithm, and that \
             the server may use it for `{zone}`"
        ),
        (ResponseCode::NotAuth, Some(TsigError::BadSig | TsigError::BadTrunc)) => {
            format!("BADSIG: the key `{key}` is another one there: check its secret")
        }
        (ResponseCode::NotAuth, Some(TsigError::BadTime)) => {
            let apart = match (signature, signed) {
                (Some(tsig), Signed::Well { second }) => {
                    format!("{}: what is asked next goes by its clock", apart(tsig.time, *second))
                }
                _ => "its clock and ours are too far apart".to_owned(),
            };
            format!("BADTIME: nothing was written, since {apart}; check the clocks")
        }
        (ResponseCode::NotAuth, _) => format!(
            "NOTAUTH: it is not the primary of `{zone}`, or the key `{key}` may not update it: check the server, the \
             zone and the key"
        ),
        // A refusal that the key has signed is none of the key. PowerDNS says no more to a wrong key either.
        (ResponseCode::Refused, _) => format!(
            "REFUSED: the key `{key}` may not change {kinds} records at `{record}`: check {}the zone's permissions (BIND: \
             `update-policy {{ grant {key}. name {record}. {kinds}; }};`, Knot: an `acl` with `action: update` and this key, \
             PowerDNS: `pdnsutil set-meta {zone} TSIG-ALLOW-DNSUPDATE {key}` and ALLOW-DNSUPDATE-FROM)",
            if matches!(signed, Signed::Well { .. }) {
                String::new()
            } else {
                format!("the key's name and its algorithm {algorithm}, check its secret, the clocks, and check ")
            }
        ),
        (ResponseCode::NotZone, _) => format!("NOTZONE: `{record}` is not in its zone `{zone}`: check the zone"),
        (ResponseCode::NotImp, _) => "NOTIMP: it takes no dynamic updates: check that it is a primary".to_owned(),
        (ResponseCode::FormErr, _) => "FORMERR: it could not read the update".to_owned(),
        _ => return None,
    };
    Some(reason)
}

/// How far the server's clock is from ours, in seconds each.
fn apart(ours: u64, theirs: u64) -> String {
    let side = if theirs > ours { "ahead of" } else { "behind" };
    format!("its clock is {} s {side} ours", theirs.abs_diff(ours))
}

/// Why a signature was not accepted. hickory asks to file an issue where the signature is simply empty.
fn why(error: &str) -> String {
    if error.contains("truncated HMACs") { "its signature is empty or cut short".to_owned() } else { error.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use hickory_proto::op::Message;
    use hickory_proto::rr::Record;

    use super::*;
    use crate::round::Revision;

    fn asked() -> Asked {
        Asked {
            place: "192.0.2.1:53".to_owned(),
            zone: Name::from_str("example.test.").unwrap(),
            record: Name::from_str("job.example.test.").unwrap(),
            kinds: "TXT".to_owned(),
            key: "soloist".to_owned(),
            algorithm: "hmac-sha256",
        }
    }

    fn answer(change: impl FnOnce(&mut Message)) -> DnsResponse {
        let mut message = message::query(&asked().record).into_response();
        message.metadata.authoritative = true;
        change(&mut message);
        DnsResponse::from_message(message).unwrap()
    }

    fn txt(name: &str, text: &str) -> Record {
        Record::from_rdata(Name::from_str(name).unwrap(), 60, RData::TXT(message::txt(text.as_bytes())))
    }

    #[test]
    fn the_values_of_several_records_are_sorted() {
        let records = ["b", "a", "c"].map(|text| txt("job.example.test.", text));
        let seen = of_query(&answer(|message| _ = message.add_answers(records)), &Signed::No, &asked()).unwrap();
        assert_eq!(seen.values, [b"a", b"b", b"c"]);
    }

    #[test]
    fn a_name_in_another_case_is_the_same_name() {
        let seen =
            of_query(&answer(|message| _ = message.add_answer(txt("JOB.Example.test.", "a"))), &Signed::No, &asked());
        assert_eq!(seen.unwrap().values, [b"a"]);
    }

    #[test]
    fn a_record_at_another_name_is_not_ours() {
        let seen =
            of_query(&answer(|message| _ = message.add_answer(txt("bob.example.test.", "a"))), &Signed::No, &asked())
                .unwrap();
        assert_eq!((seen.values.len(), seen.revision), (0, Revision::Absent));
    }

    #[test]
    fn an_answer_to_another_question_is_nonsense() {
        let odd: [fn(&mut Message); 4] = [
            |message| message.metadata.op_code = OpCode::Update,
            |message| message.metadata.truncation = true,
            |message| _ = message.queries[0].set_query_type(RecordType::A),
            |message| _ = message.queries[0].set_name(Name::root()),
        ];
        for change in odd {
            let seen = of_query(&answer(change), &Signed::No, &asked());
            assert!(matches!(seen, Err(Error::Nonsense { .. })), "{seen:?}");
        }
    }

    #[test]
    fn every_refusal_to_a_query_is_an_error() {
        for (code, word) in [
            (ResponseCode::Refused, "REFUSED"),
            (ResponseCode::NotAuth, "NOTAUTH"),
            (ResponseCode::ServFail, "SERVFAIL"),
            (ResponseCode::FormErr, "FORMERR"),
            (ResponseCode::NotImp, "NOTIMP"),
            (ResponseCode::Unknown(99), "RCODE99"),
        ] {
            let error =
                of_query(&answer(|message| message.metadata.response_code = code), &Signed::No, &asked()).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
