//! Any bytes as the answer to an update: nothing that our key did not sign says that a record was written or refused.

use std::sync::LazyLock;

use arbitrary::{Arbitrary as _, Result, Unstructured};
use hickory_proto::op::{DnsResponse, OpCode, ResponseCode};
use hickory_proto::rr::rdata::TSIG;
use hickory_proto::rr::rdata::tsig::{TsigAlgorithm, TsigError, make_tsig_record};
use hickory_proto::rr::{Name, TSigner};
use hickory_proto::serialize::binary::BinEncodable as _;

use super::dns_query::JUDGE;
use crate::round::Replaced;

/// When the update was sent.
const NOW: u64 = 1_800_000_000;

/// How it was signed.
static MAC: LazyLock<Vec<u8>> = LazyLock::new(|| JUDGE.mac(NOW));

/// Judges an answer that nobody signed, or one that was signed and then changed.
pub fn run(data: &[u8]) {
    let _ = judge(&mut Unstructured::new(data));
}

fn judge(u: &mut Unstructured<'_>) -> Result<()> {
    if bool::arbitrary(u)? {
        let bytes = u.bytes(u.len())?.to_vec();
        if let Some(said) = said(bytes) {
            assert!(!is_definite(&said), "nobody signed it, and it is believed: {said:?}");
        }
        return Ok(());
    }
    let key = *u.choose(&[&b"secretsecretsecretsecret"[..], b"secretsecretsecretsecreT", b""])?;
    let ours = key == b"secretsecretsecretsecret";
    let mac = if u.ratio(7, 8)? { MAC.clone() } else { Vec::<u8>::arbitrary(u)? };
    let of_this = mac == *MAC;
    let Some((mut bytes, code)) = signed(u, key, &mac)? else { return Ok(()) };
    for _ in 0..u.int_in_range(0..=2)? {
        if let Some(byte) = bytes.len().checked_sub(1).map(|last| u.int_in_range(0..=last)).transpose()? {
            bytes[byte] ^= u8::arbitrary(u)?;
        }
    }
    let Some(said) = said(bytes) else { return Ok(()) };
    if is_definite(&said) {
        assert!(ours && of_this, "another key or another update, and it is believed: {said:?}");
        let applied = matches!(said, Replaced::Applied(_));
        assert_eq!(applied, code == ResponseCode::NoError, "a change of the code is not noticed: {said:?}");
    }
    Ok(())
}

fn said(bytes: Vec<u8>) -> Option<Replaced> {
    let answer = DnsResponse::from_buffer(bytes).ok()?;
    JUDGE.of_update(&answer, &MAC).ok()
}

const fn is_definite(said: &Replaced) -> bool {
    matches!(said, Replaced::Applied(_) | Replaced::Conflict)
}

/// An answer that is signed as a server signs, over the bytes of a message, and its code; none where they are no answer.
fn signed(u: &mut Unstructured<'_>, key: &[u8], mac: &[u8]) -> Result<Option<(Vec<u8>, ResponseCode)>> {
    let time = if u.ratio(3, 4)? { NOW } else { u64::arbitrary(u)? & 0xffff_ffff_ffff };
    let fudge = if u.ratio(3, 4)? { 300 } else { u16::arbitrary(u)? };
    let error = *u.choose(&[None, Some(TsigError::BadTime), Some(TsigError::BadSig), Some(TsigError::BadKey)])?;
    let other = if u.ratio(3, 4)? { Vec::new() } else { Vec::<u8>::arbitrary(u)? };
    let code = *u.choose(&[
        ResponseCode::NoError,
        ResponseCode::NXRRSet,
        ResponseCode::YXRRSet,
        ResponseCode::ServFail,
        ResponseCode::Refused,
        ResponseCode::NotAuth,
    ])?;
    let size = u.int_in_range(0..=200)?.min(u.len());
    let base = u.bytes(size)?.to_vec();
    let mut message = match DnsResponse::from_buffer(base) {
        Ok(answer) => answer.into_message(),
        Err(_) => JUDGE
            .update(&crate::round::Revision::Absent, b"new")
            .map(|update| {
                let mut answer = update.into_response();
                answer.metadata.response_code = code;
                answer
            })
            .expect("the absence is a revision"),
    };
    message.signature = None;
    let code = message.response_code;
    if message.op_code != OpCode::Update {
        // Signed or not, it is none to an update.
        message.metadata.op_code = if u.ratio(1, 8)? { message.op_code } else { OpCode::Update };
    }
    let name: Name = "soloist.".parse().expect("it is a name");
    let key = TSigner::new(key.to_vec(), TsigAlgorithm::HmacSha256, name.clone(), 300).expect("it is supported");
    let tsig = TSIG::new(TsigAlgorithm::HmacSha256, time, fudge, Vec::new(), message.id, error, other);
    let Ok(bytes) = message.to_bytes() else { return Ok(None) };
    let Ok(covered) = key.encode_response_tbs(mac, &bytes, &tsig) else { return Ok(None) };
    let Ok(mac) = key.sign(&covered) else { return Ok(None) };
    message.set_signature(Box::new(make_tsig_record(name, tsig.set_mac(mac))));
    Ok(message.to_bytes().ok().map(|bytes| (bytes, code)))
}
