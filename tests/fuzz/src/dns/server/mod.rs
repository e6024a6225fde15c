//! The embedded server's zone: what an update changes in it, and how it is kept.

#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../../host/src/dns/server/error.rs"]
mod error;
#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../../host/src/dns/server/journal.rs"]
mod journal;
#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../../host/src/dns/server/limits.rs"]
mod limits;
#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../../host/src/dns/server/update.rs"]
mod update;
#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../../host/src/dns/server/wire.rs"]
mod wire;
#[allow(dead_code, reason = "not every part of it is fuzzed")]
#[path = "../../../../../host/src/dns/server/zone.rs"]
mod zone;

use std::path::Path;
use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{LowerName, Name, RData, RecordType};

use self::error::ServeError;
use self::journal::{Journal, Kind};
use self::limits::{MAX_BYTES_AT_NAME, MAX_RECORDS, MAX_RECORDS_AT_NAME, MAX_ZONE_BYTES};
use self::zone::{Change, RrSet, Zone};

/// A zone in memory, as the server has it.
#[derive(Debug)]
pub struct Served {
    zone: Zone,
}

impl Served {
    /// A zone with an SOA and a name server, as a new one has them.
    pub fn new(origin: &Name) -> Self {
        let ns = Name::from_labels(["ns"]).and_then(|ns| ns.append_domain(origin)).expect("it is a name");
        let soa = SOA::new(ns.clone(), ns.clone(), 1, 3600, 600, 604_800, 5);
        let mut zone = Zone::new(LowerName::new(origin));
        let records = [(RecordType::SOA, RData::SOA(soa)), (RecordType::NS, RData::NS(NS(ns)))];
        let change = |(rtype, data): (RecordType, RData)| {
            let mut set = RrSet::new(60);
            set.insert(wire::canonical(&data).expect("it has bytes"), data);
            Change { name: LowerName::new(origin), rtype, set: Some(Arc::new(set)) }
        };
        zone.apply(records.into_iter().map(change).collect());
        Self { zone }
    }

    /// Takes an update as the server does, by way of the bytes that its journal would hold.
    ///
    /// # Errors
    /// The code that its sender is told.
    ///
    /// # Panics
    /// What was acknowledged is not what is read again, or the zone is none any more.
    pub fn update(&mut self, message: &Message) -> Result<(), ResponseCode> {
        let changes = update::evaluate(&self.zone, &message.answers, &message.authorities).map_err(|no| no.code)?;
        if changes.is_empty() {
            return Ok(());
        }
        let before = self.zone.soa().expect("a zone has an SOA").1.serial;
        let bytes = wire::encode_changes(&changes).expect("what an update brought has bytes");
        let again = wire::decode_changes(&bytes).expect("what was kept is read again");
        assert_eq!(wire::encode_changes(&again).as_ref(), Some(&bytes), "what was kept is read as it was");
        self.zone.apply(again);
        let serial = self.zone.soa().expect("a zone keeps its SOA").1.serial;
        assert!(serial.wrapping_sub(before).cast_signed() > 0, "the serial rises: {before} to {serial}");
        assert!(self.zone.get(self.zone.origin(), RecordType::NS).is_some(), "a zone keeps a name server");
        self.check();
        Ok(())
    }

    /// A zone of these changes, as they stand in a journal; none where they are no changes.
    pub fn restored(origin: &Name, payload: &[u8]) -> Option<Self> {
        let changes = wire::decode_changes(payload).ok()?;
        let bytes = wire::encode_changes(&changes).expect("what was read can be written");
        let again = wire::decode_changes(&bytes).expect("what was written can be read");
        assert_eq!(wire::encode_changes(&again), Some(bytes), "what is read is written alike");
        let mut served = Self { zone: Zone::new(LowerName::new(origin)) };
        served.zone.apply(changes);
        served.check();
        Some(served)
    }

    /// The zone counts what it holds; an update keeps it within its limits.
    fn check(&self) {
        let contents = self.zone.contents();
        let records: usize = contents.iter().filter_map(|change| change.set.as_ref()).map(|set| set.len()).sum();
        assert_eq!(records, self.zone.size().records, "the records are counted");
        assert!(records <= MAX_RECORDS && self.zone.size().bytes <= MAX_ZONE_BYTES, "the zone is too large");
        for change in &contents {
            let size = self.zone.node(&change.name).map(|node| zone::Size::of_node(&change.name, node));
            let size = size.expect("what the zone gives is in it");
            assert!(size.records <= MAX_RECORDS_AT_NAME && size.bytes <= MAX_BYTES_AT_NAME, "a name is too large");
        }
    }
}

/// What a journal holds: whether an entry is the snapshot, and its payload.
pub type Entries = Vec<(bool, Vec<u8>)>;

/// Writes a journal.
///
/// # Panics
/// The directory cannot be written to.
pub fn write_journal(dir: &Path, snapshot: &[u8], changes: &[&[u8]]) {
    let mut journal = Journal::create(dir, snapshot).expect("the directory is writable");
    for change in changes {
        journal.append(change).expect("the directory is writable");
    }
}

/// Reads a journal; the words of the error where it is refused, none where there is no journal.
///
/// # Errors
/// It is damaged.
pub fn read_journal(dir: &Path) -> Result<Option<Entries>, String> {
    let mut entries = Vec::new();
    let opened = Journal::open(dir, |kind, payload| {
        entries.push((kind == Kind::Snapshot, payload.to_vec()));
        Ok(())
    });
    match opened {
        Ok(opened) => Ok(opened.map(|_| entries)),
        Err(error @ ServeError::Damaged { .. }) => Err(error.to_string()),
        Err(other) => panic!("{other}"),
    }
}
