use hickory_proto::rr::Name;
use hickory_proto::rr::rdata::{A, CNAME, NS, SOA, TXT};

use super::*;

fn name(text: &str) -> Name {
    let mut name: Name = text.parse().unwrap();
    name.set_fqdn(true);
    name
}

fn lower(text: &str) -> LowerName {
    LowerName::new(&name(text))
}

fn txt(strings: &[&str]) -> RData {
    RData::TXT(TXT::from_bytes(strings.iter().map(|string| string.as_bytes()).collect()))
}

fn ns(server: &str) -> RData {
    RData::NS(NS(name(server)))
}

fn soa(serial: u32) -> RData {
    RData::SOA(SOA::new(name("ns.a.test"), name("hostmaster.a.test"), serial, 1, 2, 3, 4))
}

fn record(owner: &str, class: DNSClass, ttl: u32, data: RData) -> Record {
    let mut record = Record::from_rdata(name(owner), ttl, data);
    record.dns_class = class;
    record
}

/// Adds to an RRset, as the update section says it.
fn put(owner: &str, data: RData) -> Record {
    record(owner, DNSClass::IN, 60, data)
}

/// Deletes one record.
fn cut(owner: &str, data: RData) -> Record {
    record(owner, DNSClass::NONE, 0, data)
}

/// "RRset exists", with this among its values.
fn equals(owner: &str, data: RData) -> Record {
    record(owner, DNSClass::IN, 0, data)
}

/// A record without data: of class ANY or NONE, in both sections.
fn bare(owner: &str, class: DNSClass, rtype: RecordType) -> Record {
    record(owner, class, 0, RData::Update0(rtype))
}

/// `a.test` with serial 10, two TXT records at `job` and one at `deep.er`.
fn zone() -> Zone {
    let mut zone = Zone::new(lower("a.test"));
    let set = |owner: &str, data: Vec<RData>| {
        let mut set = RrSet::new(60);
        let rtype = data[0].record_type();
        for data in data {
            set.insert(wire::canonical(&data).unwrap(), data);
        }
        Change { name: lower(owner), rtype, set: Some(Arc::new(set)) }
    };
    zone.apply(vec![
        set("a.test", vec![soa(10)]),
        set("a.test", vec![ns("ns.a.test")]),
        set("job.a.test", vec![txt(&["one"]), txt(&["two"])]),
        set("deep.er.a.test", vec![txt(&["x"])]),
    ]);
    zone
}

fn code(zone: &Zone, prerequisites: &[Record], updates: &[Record]) -> ResponseCode {
    evaluate(zone, prerequisites, updates).err().map_or(ResponseCode::NoError, |refusal| refusal.code)
}

/// The zone after an update that must be taken.
fn after(mut zone: Zone, updates: &[Record]) -> Zone {
    let changes = evaluate(&zone, &[], updates).unwrap();
    zone.apply(changes);
    zone
}

fn serial(zone: &Zone) -> u32 {
    zone.soa().unwrap().1.serial
}

fn values(zone: &Zone, owner: &str) -> Vec<RData> {
    zone.get(&lower(owner), RecordType::TXT).map(|set| set.data().cloned().collect()).unwrap_or_default()
}

#[test]
fn a_prerequisite_on_a_value_compares_the_whole_rrset() {
    let (zone, one, two) = (zone(), || txt(&["one"]), || txt(&["two"]));
    let job = |data| equals("job.a.test", data);
    assert_eq!(code(&zone, &[job(one()), job(two())], &[]), ResponseCode::NoError);
    assert_eq!(code(&zone, &[job(two()), job(one()), job(one())], &[]), ResponseCode::NoError, "a set has no order");
    assert_eq!(code(&zone, &[job(one())], &[]), ResponseCode::NXRRSet, "a part is not the whole");
    assert_eq!(code(&zone, &[job(one()), job(two()), job(txt(&["three"]))], &[]), ResponseCode::NXRRSet);
    assert_eq!(code(&zone, &[equals("none.a.test", one())], &[]), ResponseCode::NXRRSet);
}

#[test]
fn text_is_compared_byte_by_byte_and_names_are_not() {
    let zone = zone();
    let deep = |data| equals("deep.er.a.test", data);
    assert_eq!(code(&zone, &[deep(txt(&["x"]))], &[]), ResponseCode::NoError);
    assert_eq!(code(&zone, &[deep(txt(&["X"]))], &[]), ResponseCode::NXRRSet);
    assert_eq!(code(&zone, &[deep(txt(&["x", ""]))], &[]), ResponseCode::NXRRSet, "strings are not joined");
    assert_eq!(code(&zone, &[equals("DEEP.er.a.TEST", txt(&["x"]))], &[]), ResponseCode::NoError);
    assert_eq!(code(&zone, &[equals("a.test", ns("NS.a.test"))], &[]), ResponseCode::NoError);
}

#[test]
fn the_other_four_prerequisites_ask_whether_a_name_or_an_rrset_is_there() {
    let zone = zone();
    let check = |owner: &str, class, rtype| code(&zone, &[bare(owner, class, rtype)], &[]);
    let (any, none) = (DNSClass::ANY, DNSClass::NONE);
    assert_eq!(check("job.a.test", any, RecordType::TXT), ResponseCode::NoError);
    assert_eq!(check("job.a.test", any, RecordType::A), ResponseCode::NXRRSet);
    assert_eq!(check("job.a.test", none, RecordType::TXT), ResponseCode::YXRRSet);
    assert_eq!(check("job.a.test", none, RecordType::A), ResponseCode::NoError);
    assert_eq!(check("job.a.test", any, RecordType::ANY), ResponseCode::NoError);
    assert_eq!(check("gone.a.test", any, RecordType::ANY), ResponseCode::NXDomain);
    assert_eq!(check("job.a.test", none, RecordType::ANY), ResponseCode::YXDomain);
    assert_eq!(check("gone.a.test", none, RecordType::ANY), ResponseCode::NoError);
    assert_eq!(check("er.a.test", none, RecordType::ANY), ResponseCode::NoError, "no record stands at the name itself");
}

#[test]
fn a_malformed_prerequisite_or_update_is_a_format_error() {
    let zone = zone();
    let format = |prerequisites: &[Record], updates: &[Record]| {
        assert_eq!(code(&zone, prerequisites, updates), ResponseCode::FormErr, "{prerequisites:?} {updates:?}");
    };
    format(&[record("job.a.test", DNSClass::IN, 1, txt(&["one"]))], &[]);
    format(&[record("job.a.test", DNSClass::ANY, 0, txt(&["one"]))], &[]);
    format(&[record("job.a.test", DNSClass::NONE, 0, txt(&["one"]))], &[]);
    format(&[bare("job.a.test", DNSClass::IN, RecordType::TXT)], &[]);
    format(&[bare("job.a.test", DNSClass::CH, RecordType::TXT)], &[]);
    format(&[], &[bare("job.a.test", DNSClass::IN, RecordType::TXT)]);
    format(&[], &[bare("job.a.test", DNSClass::IN, RecordType::ANY)]);
    format(&[], &[bare("job.a.test", DNSClass::ANY, RecordType::AXFR)]);
    format(&[], &[bare("job.a.test", DNSClass::NONE, RecordType::TXT)]);
    format(&[], &[record("job.a.test", DNSClass::ANY, 0, txt(&["one"]))]);
    format(&[], &[record("job.a.test", DNSClass::ANY, 1, RData::Update0(RecordType::TXT))]);
    format(&[], &[record("job.a.test", DNSClass::NONE, 1, txt(&["one"]))]);
    format(&[], &[record("job.a.test", DNSClass::CH, 0, txt(&["one"]))]);
    format(&[], &[record("job.a.test", DNSClass::IN, u32::MAX, txt(&["one"]))]);
}

#[test]
fn what_is_outside_the_zone_is_not_of_the_zone() {
    let zone = zone();
    for owner in ["b.test", "test", "xa.test"] {
        assert_eq!(code(&zone, &[bare(owner, DNSClass::ANY, RecordType::ANY)], &[]), ResponseCode::NotZone);
        assert_eq!(code(&zone, &[], &[put(owner, txt(&["one"]))]), ResponseCode::NotZone);
    }
}

#[test]
fn one_bad_record_makes_nothing_of_the_whole_update() {
    let zone = zone();
    assert_eq!(
        code(&zone, &[], &[put("job.a.test", txt(&["new"])), put("b.test", txt(&["new"]))]),
        ResponseCode::NotZone
    );
    let stale = equals("job.a.test", txt(&["one"]));
    assert_eq!(code(&zone, &[stale], &[put("job.a.test", txt(&["new"]))]), ResponseCode::NXRRSet);
}

#[test]
fn records_are_added_and_deleted_in_the_order_of_the_update() {
    let zone = after(zone(), &[cut("job.a.test", txt(&["one"])), put("job.a.test", txt(&["three"]))]);
    assert_eq!(values(&zone, "job.a.test"), [txt(&["two"]), txt(&["three"])]);
    let zone = after(zone, &[bare("job.a.test", DNSClass::ANY, RecordType::TXT), put("job.a.test", txt(&["four"]))]);
    assert_eq!(values(&zone, "job.a.test"), [txt(&["four"])]);
    let zone = after(zone, &[put("job.a.test", txt(&["five"])), bare("job.a.test", DNSClass::ANY, RecordType::ANY)]);
    assert!(zone.node(&lower("job.a.test")).is_none());
    assert!(!zone.exists(&lower("job.a.test")));
    assert_eq!(serial(&zone), 13, "one up for each update");
}

#[test]
fn an_update_without_a_net_change_keeps_the_serial() {
    let zone = zone();
    let same = |updates: &[Record]| assert!(evaluate(&zone, &[], updates).unwrap().is_empty(), "{updates:?}");
    same(&[]);
    same(&[put("job.a.test", txt(&["one"]))]);
    same(&[cut("job.a.test", txt(&["never"]))]);
    same(&[bare("gone.a.test", DNSClass::ANY, RecordType::ANY)]);
    same(&[cut("job.a.test", txt(&["one"])), put("job.a.test", txt(&["one"]))]);
    same(&[put("new.a.test", txt(&["x"])), bare("new.a.test", DNSClass::ANY, RecordType::TXT)]);
    let other_ttl = record("job.a.test", DNSClass::IN, 61, txt(&["one"]));
    assert!(!evaluate(&zone, &[], &[other_ttl]).unwrap().is_empty(), "another TTL is a change");
}

#[test]
fn the_apex_keeps_its_soa_and_its_last_name_server() {
    let zone = zone();
    let kept = |updates: &[Record]| assert!(evaluate(&zone, &[], updates).unwrap().is_empty(), "{updates:?}");
    kept(&[bare("a.test", DNSClass::ANY, RecordType::SOA)]);
    kept(&[bare("a.test", DNSClass::ANY, RecordType::NS)]);
    kept(&[bare("a.test", DNSClass::ANY, RecordType::ANY)]);
    kept(&[cut("a.test", ns("ns.a.test"))]);
    kept(&[cut("a.test", soa(10))]);
    let two = after(zone, &[put("a.test", ns("other.a.test")), cut("a.test", ns("ns.a.test"))]);
    let left: Vec<_> = two.get(&lower("a.test"), RecordType::NS).unwrap().data().cloned().collect();
    assert_eq!(left, [ns("other.a.test")]);
}

#[test]
fn an_soa_is_taken_only_with_a_newer_serial_and_only_at_the_apex() {
    assert_eq!(serial(&after(zone(), &[put("a.test", soa(20))])), 20, "the update's own serial stands");
    assert_eq!(serial(&after(zone(), &[put("a.test", soa(10))])), 10);
    assert_eq!(serial(&after(zone(), &[put("a.test", soa(9))])), 10);
    assert_eq!(serial(&after(zone(), &[put("job.a.test", soa(20))])), 10);
    let with_more = after(zone(), &[put("a.test", soa(20)), put("job.a.test", txt(&["new"]))]);
    assert_eq!(serial(&with_more), 20);
}

#[test]
fn a_serial_wraps_around_and_leaves_out_zero() {
    // Half the numbers ahead is as far as a step can go.
    let far = after(after(zone(), &[put("a.test", soa(0x7fff_ffff))]), &[put("a.test", soa(0xffff_fffe))]);
    assert_eq!(serial(&far), 0xffff_fffe);
    let last = after(far, &[put("job.a.test", txt(&["a"]))]);
    assert_eq!(serial(&last), 0xffff_ffff);
    let wrapped = after(last, &[put("job.a.test", txt(&["b"]))]);
    assert_eq!(serial(&wrapped), 1);
    assert!(is_newer(1, 0xffff_ffff) && !is_newer(0xffff_ffff, 1) && !is_newer(7, 7));
}

#[test]
fn an_alias_and_other_records_never_share_a_name() {
    let alias = |target: &str| RData::CNAME(CNAME(name(target)));
    let zone = after(zone(), &[put("job.a.test", alias("x.test")), put("www.a.test", alias("x.test"))]);
    assert!(zone.get(&lower("job.a.test"), RecordType::CNAME).is_none());
    let zone = after(zone, &[put("www.a.test", txt(&["text"])), put("www.a.test", alias("y.test"))]);
    assert!(values(&zone, "www.a.test").is_empty());
    let set = zone.get(&lower("www.a.test"), RecordType::CNAME).unwrap();
    assert_eq!(set.data().cloned().collect::<Vec<_>>(), [alias("y.test")], "an alias is replaced");
    let zone = after(zone, &[bare("www.a.test", DNSClass::ANY, RecordType::CNAME), put("www.a.test", txt(&["text"]))]);
    assert_eq!(values(&zone, "www.a.test").len(), 1);
}

#[test]
fn kinds_that_are_not_served_are_refused() {
    let zone = zone();
    for update in [put("job.a.test", ns("ns.b.test")), put("*.a.test", txt(&["x"]))] {
        assert_eq!(code(&zone, &[], &[update]), ResponseCode::Refused);
    }
}

#[test]
fn a_name_and_its_bytes_are_bounded_and_can_always_shrink() {
    let many: Vec<Record> = (0..=MAX_RECORDS_AT_NAME)
        .map(|i| {
            put("many.a.test", RData::A(A::new(10, 0, u8::try_from(i / 256).unwrap(), u8::try_from(i % 256).unwrap())))
        })
        .collect();
    assert_eq!(code(&zone(), &[], &many), ResponseCode::Refused);
    let full = after(zone(), &many[1..]);
    assert_eq!(full.size().records, 5 + MAX_RECORDS_AT_NAME);
    assert_eq!(code(&full, &[], &[many[0].clone()]), ResponseCode::Refused);
    assert_eq!(code(&full, &[], &[cut("many.a.test", many[1].data.clone()), many[0].clone()]), ResponseCode::NoError);

    let text = "x".repeat(255);
    let long: Vec<Record> =
        (0..MAX_BYTES_AT_NAME / 256).map(|i| put("long.a.test", txt(&[&text, &i.to_string()]))).collect();
    assert_eq!(code(&zone(), &[], &long), ResponseCode::Refused);
}

#[test]
fn the_size_of_the_zone_follows_its_changes() {
    let (start, grown) = (zone().size(), after(zone(), &[put("new.a.test", txt(&["x"]))]));
    assert_eq!(grown.size().records, start.records + 1);
    let back = after(grown, &[bare("new.a.test", DNSClass::ANY, RecordType::ANY)]);
    assert_eq!(back.size(), start);
}

#[test]
fn a_name_between_two_others_exists_without_a_record() {
    let zone = zone();
    assert!(zone.exists(&lower("er.a.test")) && zone.node(&lower("er.a.test")).is_none());
    assert!(!zone.exists(&lower("eer.a.test")) && !zone.exists(&lower("x.deep.er.a.test")));
}

#[test]
fn changes_come_back_from_their_bytes() {
    let zone = zone();
    let bytes = wire::encode_changes(&zone.contents()).unwrap();
    let mut copy = Zone::new(zone.origin().clone());
    copy.apply(wire::decode_changes(&bytes).unwrap());
    assert_eq!(wire::encode_changes(&copy.contents()).unwrap(), bytes);
    assert_eq!(copy.size(), zone.size());
    assert!(wire::decode_changes(&bytes[..bytes.len() - 1]).is_err());
    // A removal has no records.
    let gone = Change { name: lower("job.a.test"), rtype: RecordType::TXT, set: None };
    let read = wire::decode_changes(&wire::encode_changes(&[gone]).unwrap()).unwrap();
    assert!(read.len() == 1 && read[0].set.is_none() && read[0].name == lower("job.a.test"));
}
