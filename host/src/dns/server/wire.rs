//! Record data and whole changes as bytes: what records are compared by, and what the journal holds.

use std::sync::Arc;

use hickory_proto::rr::{LowerName, Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder, NameEncoding, Restrict};

use super::zone::{Change, RrSet};

/// The canonical form of RFC 4034, section 6.2: two records are the same if this is. Text is compared byte by byte.
pub(super) fn canonical(data: &RData) -> Option<Vec<u8>> {
    encode(data, true)
}

/// The uncompressed form as it was sent, letter case and all.
fn plain(data: &RData) -> Option<Vec<u8>> {
    encode(data, false)
}

fn encode(data: &RData, canonical: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_canonical_form(canonical);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    data.emit(&mut encoder).ok()?;
    Some(bytes)
}

/// The record data that these bytes are, all of them.
fn parse(rtype: RecordType, bytes: &[u8]) -> Option<RData> {
    let length = u16::try_from(bytes.len()).ok().filter(|length| *length > 0)?;
    let mut decoder = BinDecoder::new(bytes);
    let data = RData::read(&mut decoder, rtype, Restrict::new(length)).ok()?;
    decoder.is_empty().then_some(data)
}

/// Whether the data comes back from its bytes as it went in, so that what was acknowledged can be read again.
pub(super) fn survives(data: &RData, rtype: RecordType) -> bool {
    let Some(bytes) = plain(data) else { return false };
    parse(rtype, &bytes).and_then(|read| plain(&read)).is_some_and(|again| again == bytes)
}

/// The bytes of some changes, for the journal. Nothing if a record has no bytes, which [`survives`] rules out.
pub(super) fn encode_changes(changes: &[Change]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for Change { name, rtype, set } in changes {
        put_short(&mut bytes, &encode_name(name)?)?;
        bytes.extend(u16::from(*rtype).to_be_bytes());
        let count = set.as_ref().map_or(0, |set| set.len());
        bytes.extend(u16::try_from(count).ok()?.to_be_bytes());
        bytes.extend(set.as_ref().map_or(0, |set| set.ttl).to_be_bytes());
        for data in set.iter().flat_map(|set| set.data()) {
            put_short(&mut bytes, &plain(data)?)?;
        }
    }
    Some(bytes)
}

/// The changes that these bytes are.
///
/// # Errors
/// Says what is wrong with the bytes.
pub(super) fn decode_changes(mut bytes: &[u8]) -> Result<Vec<Change>, String> {
    let mut changes = Vec::new();
    while !bytes.is_empty() {
        changes.push(decode_change(&mut bytes).ok_or("a change cannot be decoded")?);
    }
    Ok(changes)
}

fn decode_change(bytes: &mut &[u8]) -> Option<Change> {
    let name = decode_name(take_short(bytes)?)?;
    let rtype = RecordType::from(take_u16(bytes)?);
    let count = take_u16(bytes)?;
    let ttl = u32::from_be_bytes(take(bytes)?);
    let mut set = RrSet::new(ttl);
    for _ in 0..count {
        let data = parse(rtype, take_short(bytes)?)?;
        set.insert(canonical(&data)?, data);
    }
    Some(Change { name, rtype, set: (count > 0).then(|| Arc::new(set)) })
}

/// A name as uncompressed bytes.
pub(super) fn encode_name(name: &Name) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    name.emit(&mut encoder).ok()?;
    Some(bytes)
}

/// The name that these bytes are.
pub(super) fn decode_name(bytes: &[u8]) -> Option<LowerName> {
    let mut decoder = BinDecoder::new(bytes);
    let name = Name::read(&mut decoder).ok()?;
    decoder.is_empty().then(|| LowerName::new(&name))
}

/// Appends bytes behind their length in two bytes.
pub(super) fn put_short(into: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    into.extend(u16::try_from(bytes.len()).ok()?.to_be_bytes());
    into.extend(bytes);
    Some(())
}

/// Takes bytes that stand behind their length in two bytes.
pub(super) fn take_short<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = usize::from(take_u16(bytes)?);
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    take(bytes).map(u16::from_be_bytes)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}
