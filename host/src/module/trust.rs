//! What makes the bytes from a source a module that may be loaded: pinned digests, and signatures by known keys.
//!
//! Only [`Trust::check`] makes a [`Trusted`], and nothing else is ever loaded. It needs no network, so that what was stored with its
//! signature is checked again by the same rules.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use minisign_verify::{Error, PublicKey, Signature};

use super::Digest;

/// The most digests, and the most keys, that one job may name.
pub const MAX_PINS: usize = 32;

/// The longest signature that is read, in bytes: 8 KiB.
pub const MAX_SIGNATURE_BYTES: u64 = 8 << 10;

/// The most signatures of one module that are looked at: an OCI artifact can have many.
pub(super) const MAX_SIGNATURES: usize = 16;

/// The longest part of a trusted comment that is shown, in characters.
const SHOWN: usize = 200;

/// What a job demands of its modules; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    pins: Vec<Digest>,
    keys: Vec<Key>,
}

/// A minisign public key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    key: PublicKey,
    id: KeyId,
}

impl Trust {
    /// Reads the settings `sha256` and `minisign`: digests, one of which a module must have, and public keys, one of which must
    /// have signed it. None of either demands nothing.
    ///
    /// # Errors
    /// A text is no digest or no key, or there are more than [`MAX_PINS`] of them.
    pub fn new(sha256: &[String], minisign: &[String]) -> Result<Self, TrustError> {
        let many = |given: &[String]| given.len() > MAX_PINS;
        if many(sha256) {
            return Err(TrustError::Digests(sha256.len()));
        }
        if many(minisign) {
            return Err(TrustError::Keys(minisign.len()));
        }
        let pin = |text: &String| Digest::parse(text.trim()).ok_or_else(|| TrustError::Digest(text.clone()));
        let key = |text: &String| {
            let bad = || TrustError::Key(text.clone());
            let key = PublicKey::from_base64(text.trim()).map_err(|_| bad())?;
            Ok(Key { key, id: KeyId::of(text.trim()).ok_or_else(bad)? })
        };
        Ok(Self {
            pins: sha256.iter().map(pin).collect::<Result<_, _>>()?,
            keys: minisign.iter().map(key).collect::<Result<_, _>>()?,
        })
    }

    /// Demands this very module, and no signature.
    pub(super) fn only(digest: Digest) -> Self {
        Self { pins: vec![digest], keys: Vec::new() }
    }

    /// Whether a module needs a signature.
    pub const fn wants_signature(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether a module of this digest is allowed, whoever signed it.
    ///
    /// # Errors
    /// It is none of those that are pinned.
    pub fn allows(&self, digest: Digest) -> Result<(), Distrust> {
        if self.pins.is_empty() || self.pins.contains(&digest) {
            return Ok(());
        }
        Err(Distrust { digest, why: Why::NotPinned { pins: self.pins.clone() } })
    }

    /// Whether these bytes, with the signatures that were found beside them, are to be trusted. One good signature is enough.
    ///
    /// It reads all of the bytes: for large ones, call it where blocking is allowed.
    ///
    /// # Errors
    /// They are not.
    pub fn check(&self, bytes: Bytes, signatures: &[String]) -> Result<Trusted, Distrust> {
        let digest = Digest::of(&bytes);
        self.allows(digest)?;
        if !self.wants_signature() {
            return Ok(Trusted { bytes, digest, signature: None, comment: None });
        }
        let mut worst = Why::Unsigned;
        for text in signatures.iter().take(MAX_SIGNATURES) {
            match self.signed(&bytes, text) {
                Ok(comment) => {
                    let signature = Some(text.clone());
                    return Ok(Trusted { bytes, digest, signature, comment: Some(comment) });
                }
                // The one that says most: a known key, before others, before what is no signature.
                Err(why) => worst = if why.rank() > worst.rank() { why } else { worst },
            }
        }
        Err(Distrust { digest, why: worst })
    }

    /// The trusted comment of a good signature.
    fn signed(&self, bytes: &[u8], text: &str) -> Result<String, Why> {
        let signature = Signature::decode(text).map_err(|_| Why::NoSignature)?;
        let id = text.lines().nth(1).and_then(KeyId::of).ok_or(Why::NoSignature)?;
        let known = || self.keys.iter().map(|key| key.id).collect();
        let mut why = Why::Stranger { id, known: known() };
        for key in self.keys.iter().filter(|key| key.id == id) {
            match key.key.verify(bytes, &signature, false) {
                Ok(()) => return Ok(plain(signature.trusted_comment())),
                Err(Error::UnexpectedAlgorithm | Error::UnsupportedAlgorithm) => why = Why::Legacy { id },
                Err(_) => why = Why::Altered { id },
            }
        }
        Err(why)
    }
}

/// A comment without what a terminal would obey, cut to what fits a line.
fn plain(comment: &str) -> String {
    comment.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect()
}

/// Bytes that are to be loaded: what the job demands of them was found true.
#[derive(Debug, Clone)]
pub struct Trusted {
    bytes: Bytes,
    digest: Digest,
    signature: Option<String>,
    comment: Option<String>,
}

impl Trusted {
    /// The module.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The module's digest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The signature that made it trusted, as it was found; none where none was demanded. Kept with the bytes, it lets
    /// [`Trust::check`] judge them again.
    pub fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    /// What its signer says of it (the trusted comment, which is signed, too); cut to 200 characters.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }
}

/// The id of a key, as minisign shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// The id in a key or in the first line of a signature: after two bytes that name the algorithm.
    fn of(encoded: &str) -> Option<Self> {
        let bytes = STANDARD.decode(encoded.trim()).ok()?;
        bytes.get(2..10)?.try_into().ok().map(Self)
    }
}

/// A number in hexadecimal, which is stored with its lowest byte first.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

/// Why bytes are not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; hint: {}", why.hint())]
pub struct Distrust {
    /// The SHA-256 of the bytes.
    pub digest: Digest,
    /// Why.
    pub why: Why,
}

impl Distrust {
    /// Whether another signature could change it: then the module and its signature may have been on their way one after the
    /// other.
    pub const fn is_of_signature(&self) -> bool {
        !matches!(self.why, Why::NotPinned { .. })
    }
}

/// What is wrong with bytes that are not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Their digest is none of those that the job allows.
    #[error("it is not the module that `sha256` demands, {}", list(pins))]
    NotPinned {
        /// Those that it allows.
        pins: Vec<Digest>,
    },
    /// There is no signature.
    #[error("it is not signed")]
    Unsigned,
    /// What is there is no signature.
    #[error("what stands beside it is no minisign signature")]
    NoSignature,
    /// It is signed with a key that the job does not name.
    #[error("it is signed with the key {id}, and `minisign` demands {}", list(known))]
    Stranger {
        /// The signature's key.
        id: KeyId,
        /// The keys that the job names.
        known: Vec<KeyId>,
    },
    /// It is signed in a way that minisign has given up.
    #[error("its signature with the key {id} is of the old kind, over the whole file")]
    Legacy {
        /// The signature's key.
        id: KeyId,
    },
    /// The signature does not fit the bytes.
    #[error("its signature with the key {id} does not fit: the module or the signature was altered")]
    Altered {
        /// The signature's key.
        id: KeyId,
    },
}

impl Why {
    /// Which of several reasons to show: the highest.
    const fn rank(&self) -> u8 {
        match self {
            Self::Unsigned => 0,
            Self::NoSignature => 1,
            Self::Stranger { .. } => 2,
            Self::Legacy { .. } => 3,
            Self::Altered { .. } | Self::NotPinned { .. } => 4,
        }
    }

    /// What to try.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NotPinned { .. } => "`sha256sum FILE` prints what to write there, if you meant to change it",
            Self::Unsigned | Self::NoSignature => {
                "`minisign -Sm FILE` makes FILE.minisig, which belongs beside the module; at a registry, attach it as \
                 `application/vnd.minisign.signature`"
            }
            Self::Stranger { .. } => "sign it with a key that `minisign` names, or add this one's public key there",
            Self::Legacy { .. } => "sign it with minisign 0.11 or newer, without `-l`",
            Self::Altered { .. } => "sign it again, and publish both",
        }
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(" or ")
}

/// Why the settings `sha256` and `minisign` make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// It is no digest.
    #[error("`{0}` is no SHA-256 digest, which has 64 hexadecimal digits")]
    Digest(String),
    /// There are too many digests.
    #[error("{0} digests are more than {MAX_PINS}")]
    Digests(usize),
    /// It is no key.
    #[error("`{0}` is no minisign public key")]
    Key(String),
    /// There are too many keys.
    #[error("{0} keys are more than {MAX_PINS}")]
    Keys(usize),
}

impl TrustError {
    /// The setting that it is about.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Digest(_) | Self::Digests(_) => "sha256",
            Self::Key(_) | Self::Keys(_) => "minisign",
        }
    }

    /// What to try.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Digest(_) => "`sha256sum FILE` prints it",
            Self::Digests(_) | Self::Keys(_) => "leave out those that are used no more",
            Self::Key(_) => "it is the second line of `minisign.pub`, and begins with `RW`",
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
