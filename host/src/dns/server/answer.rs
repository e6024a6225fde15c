//! The answer to a question about the zone: always authoritative, from the zone as it is now.

use std::sync::Arc;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};
use hickory_server::server::Request;

use super::reply::Reply;
use super::zone::{RrSet, Zone};

/// Answers a question about a name in the zone.
pub(super) fn answer(zone: &Zone, request: &Request, query: &Query) -> Reply {
    let mut reply = Reply::code(request, ResponseCode::NoError);
    reply.metadata.authoritative = true;
    let (name, rtype) = (LowerName::new(query.name()), query.query_type());
    let Some(node) = zone.node(&name) else {
        if !zone.exists(&name) {
            reply.metadata.response_code = ResponseCode::NXDomain;
        }
        reply.authorities.extend(negative(zone));
        return reply;
    };
    // An alias answers every question about its name; whoever asks follows it.
    let found: Vec<&Arc<RrSet>> = match rtype {
        RecordType::ANY => node.values().collect(),
        _ => node.get(&rtype).or_else(|| node.get(&RecordType::CNAME)).into_iter().collect(),
    };
    reply.answers.extend(found.iter().flat_map(|set| set.records(query.name())));
    if reply.answers.is_empty() {
        reply.authorities.extend(negative(zone));
    } else if rtype == RecordType::NS {
        reply.additionals = addresses(zone, &reply.answers);
    }
    reply
}

/// The SOA that says how long "there is none" may be believed (RFC 2308, section 3).
fn negative(zone: &Zone) -> Option<Record> {
    let (ttl, soa) = zone.soa()?;
    let ttl = ttl.min(soa.minimum);
    Some(Record::from_rdata(Name::from(zone.origin().clone()), ttl, RData::SOA(soa.clone())))
}

/// The addresses of the servers that stand in the zone.
fn addresses(zone: &Zone, servers: &[Record]) -> Vec<Record> {
    let names = servers.iter().filter_map(|record| match &record.data {
        RData::NS(ns) => Some(&ns.0),
        _ => None,
    });
    let sets = names.flat_map(|name| {
        let lower = LowerName::new(name);
        [RecordType::A, RecordType::AAAA].map(|rtype| zone.get(&lower, rtype).map(|set| (name, Arc::clone(set))))
    });
    sets.flatten().flat_map(|(name, set)| set.records(name).collect::<Vec<_>>()).collect()
}
