//! The requests to a primary, and revisions: every TXT record at a name with its exact split into strings, since that
//! is what a prerequisite of RFC 2136 compares.

use hickory_proto::op::update_message::UpdateMessage as _;
use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, rdata::TXT};

use super::super::rrset::RrSet;
use crate::round::Revision;

/// The longest string in a TXT record (RFC 1035, section 3.3).
const MAX_STRING: usize = 255;

/// A query for the TXT records at a name, of that server's own knowledge.
pub(super) fn query(record: &Name) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(record.clone(), RecordType::TXT));
    message
}

/// The update that replaces the TXT records at a name on condition that they are what `expected` says.
/// None for a revision that is not one of ours.
pub(super) fn update(zone: &Name, record: &Name, expected: &Revision, new: TXT, ttl: u32) -> Option<Message> {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_zone(Query::query(zone.clone(), RecordType::SOA));
    match expected {
        // "RRset does not exist", RFC 2136 section 2.4.3. No alias either: a server must ignore a TXT record that is
        // added beside one (section 3.4.2.2), and says that all is well.
        Revision::Absent => {
            message.add_pre_requisite(bare(record, RecordType::TXT, DNSClass::NONE));
            message.add_pre_requisite(bare(record, RecordType::CNAME, DNSClass::NONE));
        }
        // "RRset exists (value dependent)", section 2.4.2.
        Revision::Exact(bytes) => {
            for txt in decode(bytes)? {
                message.add_pre_requisite(Record::from_rdata(record.clone(), 0, RData::TXT(txt)));
            }
        }
    }
    // "Delete an RRset", section 2.5.2, then "add to an RRset", section 2.5.1.
    message.add_update(bare(record, RecordType::TXT, DNSClass::ANY));
    message.add_update(Record::from_rdata(record.clone(), ttl, RData::TXT(new)));
    Some(message)
}

/// Types whose records an alias would share its name with: what people put into zones.
const BESIDE_NO_ALIAS: [RecordType; 13] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CAA,
    RecordType::HTTPS,
    RecordType::MX,
    RecordType::NAPTR,
    RecordType::NS,
    RecordType::PTR,
    RecordType::SRV,
    RecordType::SSHFP,
    RecordType::SVCB,
    RecordType::TLSA,
    RecordType::TXT,
];

/// The update that replaces whole RRsets, whatever stands there; but nothing where an alias would come to share its name: a
/// server must ignore that part of it (RFC 2136, section 3.4.2.2), and says that all is well.
pub(super) fn replace(zone: &Name, rrsets: &[RrSet]) -> Message {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_zone(Query::query(zone.clone(), RecordType::SOA));
    let is_replaced = |name: &Name, rtype: RecordType| rrsets.iter().any(|set| set.name == *name && set.rtype == rtype);
    for set in rrsets.iter().filter(|set| !set.data.is_empty()) {
        let conflicts: &[RecordType] =
            if set.rtype == RecordType::CNAME { &BESIDE_NO_ALIAS } else { &[RecordType::CNAME] };
        for rtype in conflicts.iter().filter(|rtype| !is_replaced(&set.name, **rtype)) {
            let condition = bare(&set.name, *rtype, DNSClass::NONE);
            if !message.prerequisites().contains(&condition) {
                message.add_pre_requisite(condition);
            }
        }
    }
    // All deletions first: an alias may come in place of other records, and they in place of it.
    for set in rrsets {
        message.add_update(bare(&set.name, set.rtype, DNSClass::ANY));
    }
    for set in rrsets {
        for data in &set.data {
            message.add_update(Record::from_rdata(set.name.clone(), set.ttl, data.clone()));
        }
    }
    message
}

/// An update that changes nothing whatever stands there: one prerequisite, and no update.
pub(super) fn no_update(zone: &Name, record: &Name) -> Message {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_zone(Query::query(zone.clone(), RecordType::SOA));
    message.add_pre_requisite(bare(record, RecordType::TXT, DNSClass::ANY));
    message
}

/// A record without data, as prerequisites and deletions have it.
fn bare(name: &Name, kind: RecordType, class: DNSClass) -> Record {
    let mut record = Record::update0(name.clone(), 0, kind);
    record.dns_class = class;
    record
}

/// The TXT record that holds a value: as few strings as can hold it.
pub(super) fn txt(value: &[u8]) -> TXT {
    if value.is_empty() {
        return TXT::from_bytes(vec![b""]);
    }
    TXT::from_bytes(value.chunks(MAX_STRING).collect())
}

/// The value of a TXT record: its strings, joined.
pub(super) fn value(txt: &TXT) -> Vec<u8> {
    txt.txt_data.concat()
}

/// The revision of an RRset, whatever the order of its records.
pub(super) fn revision(rrset: &[TXT]) -> Revision {
    if rrset.is_empty() {
        return Revision::Absent;
    }
    let mut records: Vec<Vec<u8>> = rrset.iter().map(encode).collect();
    records.sort();
    Revision::Exact(records.concat().into())
}

/// A record as it stands in a revision: how many strings, then each string behind its length.
fn encode(txt: &TXT) -> Vec<u8> {
    let mut bytes = u32::try_from(txt.txt_data.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    for string in &txt.txt_data {
        bytes.push(u8::try_from(string.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(string);
    }
    bytes
}

/// The records of a revision; none if it holds anything else.
fn decode(mut bytes: &[u8]) -> Option<Vec<TXT>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (count, rest) = bytes.split_first_chunk()?;
        bytes = rest;
        let mut strings = Vec::new();
        for _ in 0..u32::from_be_bytes(*count) {
            let (&length, rest) = bytes.split_first()?;
            let (string, rest) = rest.split_at_checked(usize::from(length))?;
            strings.push(string);
            bytes = rest;
        }
        records.push(TXT::from_bytes(strings));
    }
    (!records.is_empty()).then_some(records)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_str(text).unwrap()
    }

    #[test]
    fn a_revision_gives_the_exact_records_back() {
        let odd = TXT::from_bytes(vec![b"ab", b"", b"c\xff"]);
        let long = txt(&[7; 1000]);
        let empty = txt(b"");
        let Revision::Exact(bytes) = revision(&[long.clone(), odd.clone(), empty.clone()]) else {
            panic!("records stand there")
        };
        let mut records = decode(&bytes).unwrap();
        records.sort_by_key(|txt| txt.txt_data.len());
        assert_eq!(records, [empty, odd, long]);
    }

    #[test]
    fn a_revision_does_not_depend_on_the_order_of_records() {
        let (one, other) = (txt(b"one"), txt(b"other"));
        assert_eq!(revision(&[one.clone(), other.clone()]), revision(&[other, one]));
    }

    #[test]
    fn a_value_split_in_other_strings_is_another_revision() {
        let (whole, split) = (txt(b"abc"), TXT::from_bytes(vec![b"ab", b"c"]));
        assert_eq!(value(&whole), value(&split));
        assert_ne!(revision(&[whole]), revision(&[split]));
    }

    #[test]
    fn what_is_no_revision_of_ours_is_not_decoded() {
        for bytes in [&b""[..], b"x", b"\0\0\0\x01", b"\0\0\0\x01\x05ab", b"\xff\xff\xff\xff\x01a", b"\0\0\0\x01\x01ab"]
        {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_long_value_is_split_over_full_strings() {
        let lengths = |length: usize| -> Vec<usize> {
            txt(&vec![b'x'; length]).txt_data.iter().map(|string| string.len()).collect()
        };
        assert_eq!(lengths(0), [0]);
        assert_eq!(lengths(255), [255]);
        assert_eq!(lengths(256), [255, 1]);
        assert_eq!(lengths(2000), [255, 255, 255, 255, 255, 255, 255, 215]);
    }

    #[test]
    fn an_update_asks_for_the_exact_records_and_replaces_all_of_them() {
        let (zone, record) = (name("example.test."), name("job.example.test."));
        let old = TXT::from_bytes(vec![b"ab", b"c"]);
        let message = update(&zone, &record, &revision(std::slice::from_ref(&old)), txt(b"new"), 60).unwrap();
        let [prerequisite] = message.prerequisites() else { panic!("one record stood there") };
        assert_eq!((prerequisite.dns_class, prerequisite.ttl), (DNSClass::IN, 0));
        assert_eq!(prerequisite.data, RData::TXT(old));
        let [delete, add] = message.updates() else { panic!("a deletion and an addition") };
        assert_eq!((delete.dns_class, delete.ttl, &delete.data), (DNSClass::ANY, 0, &RData::Update0(RecordType::TXT)));
        assert_eq!((add.dns_class, add.ttl, &add.data), (DNSClass::IN, 60, &RData::TXT(txt(b"new"))));
    }

    #[test]
    fn a_creation_asks_for_neither_a_record_nor_an_alias() {
        let (zone, record) = (name("example.test."), name("job.example.test."));
        let message = update(&zone, &record, &Revision::Absent, txt(b"new"), 60).unwrap();
        let kinds: Vec<_> =
            message.prerequisites().iter().map(|record| (record.dns_class, record.record_type())).collect();
        assert_eq!(kinds, [(DNSClass::NONE, RecordType::TXT), (DNSClass::NONE, RecordType::CNAME)]);
    }

    fn set(owner: &str, rtype: RecordType, data: Vec<RData>) -> RrSet {
        RrSet { name: name(owner), rtype, ttl: 60, data }
    }

    #[test]
    fn a_replacement_asks_for_no_alias_and_an_alias_for_nothing_beside_it() {
        let zone = name("example.test.");
        let asked = |rrsets: &[RrSet]| -> Vec<String> {
            let message = replace(&zone, rrsets);
            let text = |record: &Record| {
                assert_eq!((record.dns_class, record.ttl), (DNSClass::NONE, 0));
                format!("{} {}", record.name, record.record_type())
            };
            message.prerequisites().iter().map(text).collect()
        };
        let address = || RData::A("192.0.2.1".parse().unwrap());
        let alias = || RData::CNAME(hickory_proto::rr::rdata::CNAME(name("a.example.test.")));
        let www = "www.example.test.";
        let addresses = set(www, RecordType::A, vec![address()]);
        assert_eq!(asked(&[addresses.clone(), set(www, RecordType::AAAA, vec![address()])]), [format!("{www} CNAME")]);
        // A deletion needs nothing, and what is replaced as well stands in nobody's way.
        assert!(asked(&[set(www, RecordType::A, vec![])]).is_empty());
        assert!(asked(&[addresses, set(www, RecordType::CNAME, vec![])]).is_empty());
        let beside = ["AAAA", "CAA", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SRV", "SSHFP", "SVCB", "TLSA", "TXT"];
        let replaced = [set(www, RecordType::CNAME, vec![alias()]), set(www, RecordType::A, vec![])];
        assert_eq!(asked(&replaced), beside.map(|rtype| format!("{www} {rtype}")));
        assert_eq!(asked(&replaced[..1]).len(), beside.len() + 1);
    }

    #[test]
    fn all_deletions_come_before_all_additions() {
        let alias = RData::CNAME(hickory_proto::rr::rdata::CNAME(name("a.example.test.")));
        let sets =
            [set("www.example.test.", RecordType::CNAME, vec![alias]), set("www.example.test.", RecordType::A, vec![])];
        let message = replace(&name("example.test."), &sets);
        let classes: Vec<_> = message.updates().iter().map(|record| record.dns_class).collect();
        assert_eq!(classes, [DNSClass::ANY, DNSClass::ANY, DNSClass::IN]);
    }
}
