//! The rules of a dynamic update (RFC 2136, section 3), pure: from a zone and a request to the changes that it makes, or none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, LowerName, RData, Record, RecordData, RecordType};

use super::wire;
use super::zone::{Change, Node, RrSet, Size, Zone};
use super::{MAX_BYTES_AT_NAME, MAX_RECORDS, MAX_RECORDS_AT_NAME, MAX_ZONE_BYTES};
use crate::arbiter::presentation::is_meta;

/// Why an update changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What the requestor is told.
    pub(super) code: ResponseCode,
    /// In words, for the log.
    pub(super) reason: &'static str,
}

const fn refuse<T>(code: ResponseCode, reason: &'static str) -> Result<T, Refusal> {
    Err(Refusal { code, reason })
}

/// What an update changes in a zone: every RRset that differs, with the SOA's serial one up; nothing if none does.
///
/// # Errors
/// The first prerequisite that does not hold, the first record that cannot be, or a limit.
pub(super) fn evaluate(zone: &Zone, prerequisites: &[Record], updates: &[Record]) -> Result<Vec<Change>, Refusal> {
    check_prerequisites(zone, prerequisites)?;
    let steps = updates.iter().map(|record| prescan(zone, record)).collect::<Result<Vec<_>, _>>()?;
    let mut draft = Draft { zone, nodes: BTreeMap::new() };
    for step in steps {
        draft.take(step);
    }
    draft.finish()
}

/// Section 3.2: the five kinds of section 2.4, all against the zone as it is.
fn check_prerequisites(zone: &Zone, records: &[Record]) -> Result<(), Refusal> {
    let mut wanted: BTreeMap<(LowerName, RecordType), BTreeSet<Vec<u8>>> = BTreeMap::new();
    for record in records {
        let name = LowerName::new(&record.name);
        let rtype = record.record_type();
        if record.ttl != 0 {
            return refuse(ResponseCode::FormErr, "a prerequisite has a TTL");
        }
        if !zone.origin().zone_of(&name) {
            return refuse(ResponseCode::NotZone, "a prerequisite is not in the zone");
        }
        let named = zone.node(&name).is_some();
        let present = zone.get(&name, rtype).is_some();
        match record.dns_class {
            DNSClass::ANY | DNSClass::NONE if !record.data.is_update() => {
                return refuse(ResponseCode::FormErr, "a prerequisite without a value has one");
            }
            DNSClass::ANY if rtype == RecordType::ANY && !named => {
                return refuse(ResponseCode::NXDomain, "a name is not in use");
            }
            DNSClass::ANY if rtype != RecordType::ANY && !present => {
                return refuse(ResponseCode::NXRRSet, "an RRset does not exist");
            }
            DNSClass::NONE if rtype == RecordType::ANY && named => {
                return refuse(ResponseCode::YXDomain, "a name is in use");
            }
            DNSClass::NONE if rtype != RecordType::ANY && present => {
                return refuse(ResponseCode::YXRRSet, "an RRset exists");
            }
            DNSClass::ANY | DNSClass::NONE => {}
            DNSClass::IN => {
                let value = wire::canonical(&record.data).filter(|_| !record.data.is_update() && !is_meta(rtype));
                let Some(value) = value else {
                    return refuse(ResponseCode::FormErr, "a prerequisite with a value has none");
                };
                wanted.entry((name, rtype)).or_default().insert(value);
            }
            _ => return refuse(ResponseCode::FormErr, "a prerequisite is of another class"),
        }
    }
    // The whole RRset must be what was named: the same members, no more, no less (section 3.2.3).
    let holds = |((name, rtype), values): (&(LowerName, RecordType), &BTreeSet<Vec<u8>>)| {
        zone.get(name, *rtype).is_some_and(|set| set.keys().eq(values))
    };
    if !wanted.iter().all(holds) {
        return refuse(ResponseCode::NXRRSet, "an RRset is another");
    }
    Ok(())
}

/// One step of the update section (section 2.5).
enum Step {
    Add { name: LowerName, rtype: RecordType, ttl: u32, key: Vec<u8>, data: RData },
    DeleteSet { name: LowerName, rtype: RecordType },
    DeleteName { name: LowerName },
    DeleteRecord { name: LowerName, rtype: RecordType, key: Vec<u8> },
}

/// Section 3.4.1: what can be said of a record of the update section before anything is changed.
fn prescan(zone: &Zone, record: &Record) -> Result<Step, Refusal> {
    let name = LowerName::new(&record.name);
    let rtype = record.record_type();
    if !zone.origin().zone_of(&name) {
        return refuse(ResponseCode::NotZone, "an update is not in the zone");
    }
    let empty = record.data.is_update();
    match record.dns_class {
        DNSClass::IN => {
            if empty || is_meta(rtype) || record.ttl > i32::MAX.cast_unsigned() {
                return refuse(ResponseCode::FormErr, "a record to add is none");
            }
            if !is_served(zone, &name, rtype) {
                return refuse(ResponseCode::Refused, "a record to add is of a kind that is not served here");
            }
            let key = wire::canonical(&record.data).filter(|_| wire::survives(&record.data, rtype));
            let Some(key) = key else {
                return refuse(ResponseCode::FormErr, "a record to add has data that cannot be kept");
            };
            Ok(Step::Add { name, rtype, ttl: record.ttl, key, data: record.data.clone() })
        }
        DNSClass::ANY if record.ttl != 0 || !empty => {
            refuse(ResponseCode::FormErr, "a deletion of an RRset has a TTL or data")
        }
        DNSClass::ANY if rtype == RecordType::ANY => Ok(Step::DeleteName { name }),
        DNSClass::ANY if is_meta(rtype) => refuse(ResponseCode::FormErr, "a deletion names a type that is none"),
        DNSClass::ANY => Ok(Step::DeleteSet { name, rtype }),
        DNSClass::NONE if record.ttl != 0 || empty || is_meta(rtype) => {
            refuse(ResponseCode::FormErr, "a deletion of a record names none")
        }
        DNSClass::NONE => match wire::canonical(&record.data) {
            Some(key) => Ok(Step::DeleteRecord { name, rtype, key }),
            None => refuse(ResponseCode::FormErr, "a record to delete cannot be read"),
        },
        _ => refuse(ResponseCode::FormErr, "an update is of another class"),
    }
}

/// What this server can answer for: no delegation, no wildcard, no DNAME, nothing that only a signed zone has.
fn is_served(zone: &Zone, name: &LowerName, rtype: RecordType) -> bool {
    let kept = match rtype {
        RecordType::NS => name == zone.origin(),
        RecordType::DNAME | RecordType::DS | RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3 => false,
        _ => true,
    };
    kept && !name.is_wildcard()
}

/// The zone as it would be: the touched names, whole.
struct Draft<'z> {
    zone: &'z Zone,
    nodes: BTreeMap<LowerName, Node>,
}

impl Draft<'_> {
    fn node(&mut self, name: LowerName) -> &mut Node {
        let zone = self.zone;
        self.nodes.entry(name).or_insert_with_key(|name| zone.node(name).cloned().unwrap_or_default())
    }

    /// Section 3.4.2. An RRset without a record may stay behind until [`Self::finish`].
    fn take(&mut self, step: Step) {
        let apex = self.zone.origin().clone();
        match step {
            Step::Add { name, rtype, ttl, key, data } => {
                let at_apex = name == apex;
                add(self.node(name), at_apex, rtype, ttl, key, data);
            }
            Step::DeleteSet { name, rtype } => {
                if !(name == apex && is_apex_type(rtype)) {
                    empty(self.node(name).get_mut(&rtype));
                }
            }
            Step::DeleteName { name } => {
                let at_apex = name == apex;
                for (rtype, set) in self.node(name) {
                    if !(at_apex && is_apex_type(*rtype)) {
                        empty(Some(set));
                    }
                }
            }
            Step::DeleteRecord { name, rtype, key } => {
                let at_apex = name == apex;
                if let Some(set) = self.node(name).get_mut(&rtype) {
                    let last_server = at_apex && rtype == RecordType::NS && set.len() == 1;
                    if rtype != RecordType::SOA && !last_server {
                        Arc::make_mut(set).remove(&key);
                    }
                }
            }
        }
    }

    /// What differs from the zone, with a new serial unless the update brought one.
    fn finish(mut self) -> Result<Vec<Change>, Refusal> {
        for node in self.nodes.values_mut() {
            node.retain(|_, set| !set.is_empty());
        }
        let mut changes: Vec<Change> =
            self.nodes.iter().flat_map(|(name, node)| differences(name, self.zone.node(name), node)).collect();
        if changes.is_empty() {
            return Ok(changes);
        }
        self.check_limits()?;
        let apex = self.zone.origin();
        if !changes.iter().any(|change| change.rtype == RecordType::SOA && change.name == *apex) {
            changes.extend(next_serial(self.zone));
        }
        Ok(changes)
    }

    fn check_limits(&self) -> Result<(), Refusal> {
        let mut total = self.zone.size();
        for (name, node) in &self.nodes {
            let old = self.zone.node(name).map(|node| Size::of_node(name, node)).unwrap_or_default();
            let new = Size::of_node(name, node);
            total = total.minus(old).plus(new);
            // A name that only shrinks may stay above a limit that it was above before.
            if new.records > MAX_RECORDS_AT_NAME.max(old.records) || new.bytes > MAX_BYTES_AT_NAME.max(old.bytes) {
                return refuse(ResponseCode::Refused, "a name would hold more than it may");
            }
        }
        let old = self.zone.size();
        if total.records > MAX_RECORDS.max(old.records) || total.bytes > MAX_ZONE_BYTES.max(old.bytes) {
            return refuse(ResponseCode::Refused, "the zone would hold more than it may");
        }
        Ok(())
    }
}

const fn is_apex_type(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::SOA | RecordType::NS)
}

fn empty(set: Option<&mut Arc<RrSet>>) {
    if let Some(set) = set {
        Arc::make_mut(set).clear();
    }
}

/// Section 3.4.2.2: adds a record to what stands at a name, or leaves it as the section says.
fn add(node: &mut Node, at_apex: bool, rtype: RecordType, ttl: u32, key: Vec<u8>, data: RData) {
    let holds = |cname: bool| node.iter().any(|(other, set)| (*other == RecordType::CNAME) == cname && !set.is_empty());
    match (rtype, &data) {
        (RecordType::CNAME, _) if holds(false) => return,
        (RecordType::CNAME, _) => {}
        (_, _) if holds(true) => return,
        (RecordType::SOA, RData::SOA(new)) => {
            let old = node.get(&RecordType::SOA).filter(|_| at_apex).and_then(|set| set.data().next());
            if !matches!(old, Some(RData::SOA(old)) if is_newer(new.serial, old.serial)) {
                return;
            }
        }
        _ => {}
    }
    let set = Arc::make_mut(node.entry(rtype).or_insert_with(|| Arc::new(RrSet::new(ttl))));
    if matches!(rtype, RecordType::CNAME | RecordType::SOA) {
        set.clear();
    }
    set.ttl = ttl;
    set.insert(key, data);
}

/// RFC 1982, section 3.2, for 32 bits.
const fn is_newer(serial: u32, than: u32) -> bool {
    serial.wrapping_sub(than).cast_signed() > 0
}

/// The SOA with the next serial. 0 is left out, as some take it for "no serial".
fn next_serial(zone: &Zone) -> Option<Change> {
    let (ttl, soa) = zone.soa()?;
    let mut soa = soa.clone();
    soa.serial = soa.serial.wrapping_add(1).max(1);
    let data = RData::SOA(soa);
    let mut set = RrSet::new(ttl);
    set.insert(wire::canonical(&data)?, data);
    Some(Change { name: zone.origin().clone(), rtype: RecordType::SOA, set: Some(Arc::new(set)) })
}

/// The RRsets at a name that are not what they were.
fn differences(name: &LowerName, old: Option<&Node>, new: &Node) -> Vec<Change> {
    let old_set = |rtype| old.and_then(|node| node.get(&rtype));
    let gone = old.into_iter().flatten().filter(|(rtype, _)| !new.contains_key(rtype)).map(|(rtype, _)| (*rtype, None));
    let differs = |rtype: RecordType, set: &RrSet| !old_set(rtype).is_some_and(|old| old.same(set));
    let other = new.iter().filter(|(rtype, set)| differs(**rtype, set)).map(|(rtype, set)| (*rtype, Some(set.clone())));
    gone.chain(other).map(|(rtype, set)| Change { name: name.clone(), rtype, set }).collect()
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
