//! A whole zone to somebody who holds a key: AXFR (RFC 5936), and IXFR (RFC 1995) answered in the same way.

use hickory_net::xfer::Protocol;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_server::server::{Request, ResponseHandler, ResponseInfo};

use super::reply::{Outbox, Reply};
use super::store::Store;
use super::zone::Change;

/// The most bytes of records in one message, uncompressed, so that no message needs to be cut.
const MESSAGE_BYTES: usize = 60_000;

/// Sends the zone as it is now. A requestor that has it already, or asks for an increment over UDP, gets the SOA alone.
pub(super) async fn send<R: ResponseHandler>(
    store: &Store,
    request: &Request,
    rtype: RecordType,
    outbox: &mut Outbox<'_, R>,
) -> Option<ResponseInfo> {
    let udp = request.protocol() == Protocol::Udp;
    if udp && rtype == RecordType::AXFR {
        return outbox.send(Reply::code(request, ResponseCode::FormErr)).await;
    }
    let (soa, contents) = {
        let zone = store.zone();
        let (ttl, soa) = zone.soa()?;
        let record = Record::from_rdata(Name::from(zone.origin().clone()), ttl, RData::SOA(soa.clone()));
        let has_it =
            rtype == RecordType::IXFR && request.authorities.iter().any(|record| is_serial(record, soa.serial));
        (record, if udp || has_it { None } else { Some(zone.contents()) })
    };
    let mut batch = Batch { records: vec![soa.clone()], bytes: 0 };
    let mut last = None;
    if let Some(contents) = contents {
        for record in contents.iter().flat_map(records) {
            if let Some(records) = batch.push(record) {
                last = outbox.send(message(request, records)).await;
                last.as_ref()?;
            }
        }
        batch.records.push(soa);
    }
    outbox.send(message(request, batch.records)).await.or(last)
}

/// Everything of a change but the SOA, which stands at both ends of a transfer instead.
fn records(change: &Change) -> Vec<Record> {
    let set = change.set.as_ref().filter(|_| change.rtype != RecordType::SOA);
    set.map(|set| set.records(&change.name).collect()).unwrap_or_default()
}

fn is_serial(record: &Record, serial: u32) -> bool {
    matches!(&record.data, RData::SOA(soa) if soa.serial == serial)
}

struct Batch {
    records: Vec<Record>,
    bytes: usize,
}

impl Batch {
    /// Adds a record; gives back those before it where it does not fit beside them.
    fn push(&mut self, record: Record) -> Option<Vec<Record>> {
        let bytes = size(&record);
        let full = (self.bytes + bytes > MESSAGE_BYTES).then(|| std::mem::take(&mut self.records));
        self.bytes = if full.is_some() { bytes } else { self.bytes + bytes };
        self.records.push(record);
        full
    }
}

fn size(record: &Record) -> usize {
    // A name, and type, class, TTL and length of the data: ten bytes.
    record.name.len() + 10 + super::wire::canonical(&record.data).map_or(0, |data| data.len())
}

fn message(request: &Request, records: Vec<Record>) -> Reply {
    let mut reply = Reply::code(request, ResponseCode::NoError);
    reply.metadata.authoritative = true;
    reply.answers = records;
    reply
}
