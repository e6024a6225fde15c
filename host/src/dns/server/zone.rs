//! One zone in memory: its RRsets by name and type, and what stands at a name.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};

/// The records of one name and type. Two records are one if their canonical bytes are the same.
#[derive(Debug, Clone)]
pub(super) struct RrSet {
    /// The one TTL of all of them, in seconds (RFC 2181, section 5.2).
    pub(super) ttl: u32,
    data: BTreeMap<Vec<u8>, RData>,
}

impl RrSet {
    /// An RRset without a record: it gets some before it is put anywhere.
    pub(super) const fn new(ttl: u32) -> Self {
        Self { ttl, data: BTreeMap::new() }
    }

    /// Adds a record, in place of the same one.
    pub(super) fn insert(&mut self, canonical: Vec<u8>, data: RData) {
        self.data.insert(canonical, data);
    }

    /// Removes a record, if it is there.
    pub(super) fn remove(&mut self, canonical: &[u8]) {
        self.data.remove(canonical);
    }

    /// Removes every record.
    pub(super) fn clear(&mut self) {
        self.data.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The canonical bytes of the records, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.data.keys()
    }

    /// The records' data.
    pub(super) fn data(&self) -> impl Iterator<Item = &RData> {
        self.data.values()
    }

    /// The records, owned by `owner` as the question spells it.
    pub(super) fn records(&self, owner: &Name) -> impl Iterator<Item = Record> {
        self.data.values().map(|data| Record::from_rdata(owner.clone(), self.ttl, data.clone()))
    }

    /// Whether both hold the same records under the same TTL.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.ttl == other.ttl && self.data.keys().eq(other.data.keys())
    }
}

/// The RRsets of one name.
pub(super) type Node = BTreeMap<RecordType, Arc<RrSet>>;

/// How much something holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Records.
    pub(super) records: usize,
    /// Bytes of the records on the wire, uncompressed.
    pub(super) bytes: usize,
}

impl Size {
    fn of_set(name: &LowerName, set: &RrSet) -> Self {
        // Type, class, TTL and length of the data: ten bytes.
        let each = name.len() + 10;
        Self { records: set.len(), bytes: set.keys().map(|data| each + data.len()).sum() }
    }

    /// The size of all that stands at a name.
    pub(super) fn of_node(name: &LowerName, node: &Node) -> Self {
        node.values().fold(Self::default(), |size, set| size.plus(Self::of_set(name, set)))
    }

    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self { records: self.records + other.records, bytes: self.bytes + other.bytes }
    }

    /// Without what `other` counts, which this one counts too.
    pub(super) fn minus(self, other: Self) -> Self {
        Self { records: self.records - other.records, bytes: self.bytes - other.bytes }
    }
}

/// What an RRset becomes.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) name: LowerName,
    pub(super) rtype: RecordType,
    /// The whole RRset from now on; none where it goes.
    pub(super) set: Option<Arc<RrSet>>,
}

/// The zone.
#[derive(Debug)]
pub(super) struct Zone {
    origin: LowerName,
    nodes: BTreeMap<LowerName, Node>,
    size: Size,
}

impl Zone {
    /// A zone without a record.
    pub(super) const fn new(origin: LowerName) -> Self {
        Self { origin, nodes: BTreeMap::new(), size: Size { records: 0, bytes: 0 } }
    }

    pub(super) const fn origin(&self) -> &LowerName {
        &self.origin
    }

    pub(super) const fn size(&self) -> Size {
        self.size
    }

    /// What stands at a name; none where there is no record.
    pub(super) fn node(&self, name: &LowerName) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The RRset of a name and type.
    pub(super) fn get(&self, name: &LowerName, rtype: RecordType) -> Option<&Arc<RrSet>> {
        self.nodes.get(name)?.get(&rtype)
    }

    /// Whether a name exists: it has a record, or a name below it has one (RFC 8020).
    pub(super) fn exists(&self, name: &LowerName) -> bool {
        // The canonical order puts what is below a name right behind it.
        let mut behind = self.nodes.range::<LowerName, _>((Bound::Included(name), Bound::Unbounded));
        behind.next().is_some_and(|(next, _)| name.zone_of(next))
    }

    /// The zone's SOA and its TTL; none only in a zone that is being read.
    pub(super) fn soa(&self) -> Option<(u32, &SOA)> {
        let set = self.get(&self.origin, RecordType::SOA)?;
        match set.data().next()? {
            RData::SOA(soa) => Some((set.ttl, soa)),
            _ => None,
        }
    }

    /// Makes changes.
    pub(super) fn apply(&mut self, changes: Vec<Change>) {
        for Change { name, rtype, set } in changes {
            let old = self.get(&name, rtype).map(|set| Size::of_set(&name, set)).unwrap_or_default();
            let new = set.as_ref().map(|set| Size::of_set(&name, set)).unwrap_or_default();
            self.size = self.size.minus(old).plus(new);
            if let Some(set) = set {
                self.nodes.entry(name).or_default().insert(rtype, set);
            } else if let Some(node) = self.nodes.get_mut(&name) {
                node.remove(&rtype);
                if node.is_empty() {
                    self.nodes.remove(&name);
                }
            }
        }
    }

    /// All there is, as the changes that make it out of nothing.
    pub(super) fn contents(&self) -> Vec<Change> {
        let each = |name: &LowerName, rtype: RecordType, set: &Arc<RrSet>| Change {
            name: name.clone(),
            rtype,
            set: Some(Arc::clone(set)),
        };
        self.nodes
            .iter()
            .flat_map(|(name, node)| node.iter().map(move |(rtype, set)| each(name, *rtype, set)))
            .collect()
    }
}
