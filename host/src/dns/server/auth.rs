//! TSIG on the server's side (RFC 8945): who signed a request, and the signature of every answer to it.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::TSIG;
use hickory_proto::rr::rdata::tsig::{TsigAlgorithm, TsigError, make_tsig_record, signed_bitmessage_to_buf};
use hickory_proto::rr::{DNSClass, Name, Record, TSigner};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use hickory_server::server::Request;

use crate::arbiter::tsig::{Algorithm, FUDGE_SECONDS, Key};

/// What a request's signature says.
pub(super) enum Auth {
    /// There is none.
    Unsigned,
    /// It is good: the answer is signed.
    Signed(Signing),
    /// It is not: the code of the answer, and what the answer is signed with.
    Failed(ResponseCode, Option<Signing>),
}

/// What signs the answers to one request.
pub(super) struct Signing {
    kind: SigningKind,
    /// The request's identifier as it was signed.
    original_id: u16,
}

enum SigningKind {
    /// A real signature, chained over the messages of a transfer (RFC 8945, section 5.3.1).
    Mac { signer: TSigner, previous: Vec<u8>, first: bool, late: Option<u64> },
    /// A TSIG record without a MAC that says what is wrong (section 5.3.2).
    Bare { name: Name, algorithm: TsigAlgorithm, error: TsigError },
}

/// Checks a request against the keys. `now` is in seconds since the Unix epoch.
pub(super) fn check(request: &Request, keys: &[Key], now: u64) -> Auth {
    let Some(record) = &request.signature else { return Auth::Unsigned };
    let tsig = &record.data;
    let original_id = tsig.oid;
    if record.dns_class != DNSClass::ANY || record.ttl != 0 {
        return Auth::Failed(ResponseCode::FormErr, None);
    }
    let bare = |error| {
        let kind = SigningKind::Bare { name: record.name.clone(), algorithm: tsig.algorithm.clone(), error };
        Auth::Failed(ResponseCode::NotAuth, Some(Signing { kind, original_id }))
    };
    // Names of algorithms are domain names: letter case means nothing.
    let algorithm = TsigAlgorithm::from_name(tsig.algorithm.to_name().to_lowercase());
    let key = keys.iter().find(|key| *key.name() == record.name && *key.signer().algorithm() == algorithm);
    let Some(key) = key else { return bare(TsigError::BadKey) };
    let full = mac_bytes(key.algorithm());
    if tsig.mac.len() > full || tsig.mac.len() < full / 2 {
        return Auth::Failed(ResponseCode::FormErr, None);
    }
    if tsig.mac.len() < full {
        return bare(TsigError::BadTrunc);
    }
    let signer = key.signer();
    let Ok((covered, _)) = signed_bitmessage_to_buf(request.as_slice(), None, true) else {
        return Auth::Failed(ResponseCode::FormErr, None);
    };
    if signer.verify(&covered, &tsig.mac).is_err() {
        return bare(TsigError::BadSig);
    }
    // Only now does the time mean anything (section 5.2.3).
    let late = (now.abs_diff(tsig.time) > u64::from(tsig.fudge)).then_some(tsig.time);
    let kind = SigningKind::Mac { signer, previous: tsig.mac.clone(), first: true, late };
    let signing = Signing { kind, original_id };
    if late.is_some() { Auth::Failed(ResponseCode::NotAuth, Some(signing)) } else { Auth::Signed(signing) }
}

const fn mac_bytes(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::HmacSha256 => 32,
        Algorithm::HmacSha384 => 48,
        Algorithm::HmacSha512 => 64,
    }
}

impl Signing {
    /// What is wrong with the request, in words; nothing where it is good.
    pub(super) fn complaint(&self) -> Option<&'static str> {
        match &self.kind {
            SigningKind::Mac { late: None, .. } => None,
            SigningKind::Mac { late: Some(_), .. } => Some("BADTIME: the sender's clock is off"),
            SigningKind::Bare { error: TsigError::BadKey, .. } => Some("BADKEY: no such key, or another algorithm"),
            SigningKind::Bare { error: TsigError::BadSig, .. } => Some("BADSIG: another secret"),
            SigningKind::Bare { .. } => Some("BADTRUNC: a shortened signature"),
        }
    }

    /// The most bytes that a signature adds to a message.
    pub(super) fn room(&self) -> usize {
        let mut bytes = Vec::new();
        let mut encoder = BinEncoder::new(&mut bytes);
        encoder.set_name_encoding(NameEncoding::Uncompressed);
        let (name, tsig) = match &self.kind {
            SigningKind::Mac { signer, previous, late, .. } => {
                (signer.signer_name().clone(), self.tsig(signer.algorithm(), 0, *late, previous.clone()))
            }
            SigningKind::Bare { name, algorithm, .. } => (name.clone(), self.tsig(algorithm, 0, None, Vec::new())),
        };
        match make_tsig_record(name, tsig).emit(&mut encoder) {
            Ok(()) => bytes.len(),
            // Longer than a message: nothing but an empty answer fits.
            Err(_) => usize::from(u16::MAX),
        }
    }

    /// The signature of the next message of the answer, whose encoded bytes without it are these.
    pub(super) fn sign(&mut self, message: &[u8], now: u64) -> Option<Box<Record<TSIG>>> {
        let mut message = message.to_vec();
        message.get_mut(..2)?.copy_from_slice(&self.original_id.to_be_bytes());
        let (name, tsig) = match &self.kind {
            SigningKind::Bare { name, algorithm, .. } => (name.clone(), self.tsig(algorithm, now, None, Vec::new())),
            SigningKind::Mac { signer, previous, first, late } => {
                let tsig = self.tsig(signer.algorithm(), now, *late, Vec::new());
                let signed = if *first {
                    signer.encode_response_tbs(previous, &message, &tsig).ok()?
                } else {
                    chained(previous, &message, &tsig)
                };
                (signer.signer_name().clone(), tsig.set_mac(signer.sign(&signed).ok()?))
            }
        };
        if let SigningKind::Mac { previous, first, .. } = &mut self.kind {
            previous.clone_from(&tsig.mac);
            *first = false;
        }
        Some(Box::new(make_tsig_record(name, tsig)))
    }

    fn tsig(&self, algorithm: &TsigAlgorithm, now: u64, late: Option<u64>, mac: Vec<u8>) -> TSIG {
        let error = match (&self.kind, late) {
            (SigningKind::Bare { error, .. }, _) => Some(*error),
            (SigningKind::Mac { .. }, Some(_)) => Some(TsigError::BadTime),
            (SigningKind::Mac { .. }, None) => None,
        };
        // A late request is answered under its own time, with ours beside it (section 5.2.3).
        let other = late.map(|_| now.to_be_bytes()[2..].to_vec()).unwrap_or_default();
        TSIG::new(algorithm.clone(), late.unwrap_or(now), FUDGE_SECONDS, mac, self.original_id, error, other)
    }
}

/// What is signed of every message of a transfer after the first (section 5.3.1).
fn chained(previous: &[u8], message: &[u8], tsig: &TSIG) -> Vec<u8> {
    // A MAC is at most 64 bytes.
    let length = u16::try_from(previous.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(previous);
    bytes.extend(message);
    bytes.extend(&tsig.time.to_be_bytes()[2..]);
    bytes.extend(tsig.fudge.to_be_bytes());
    bytes
}
