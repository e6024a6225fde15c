//! Seals a record into its TXT value and opens it again: what is opened was sealed with one of the same keys, for the same name.
//!
//! - *Signed*, a record stays the JSON object that it is, with one more field, the last one: `"h":"<key id>.<mac>"`. The MAC,
//!   HMAC-SHA-256 in base64url, covers the record's name and every byte before the field. Any monitor reads it still.
//! - *Encrypted*, it is `soloist1:<key id>.<base64url of nonce, ciphertext and tag>`: XChaCha20-Poly1305 over the JSON, filled up with
//!   spaces, with the name as associated data. The nonce is a keyed hash of what is encrypted: a record has one value.
//!
//! Both are opened whatever the form is that is written, so that a fleet can go from one to the other.
//!
//! An older record with a good seal, put back by somebody who has no key, is told by its count: it rises with each replacement,
//! whoever makes it, and is at least the time in milliseconds, so that it is above what was there even after a loss of the record.
//! What was never seen cannot be missed: an agent that has just started takes what it finds.

mod key;
mod unopened;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::record::{MAX_RECORD_BYTES, Record, Unreadable};
use key::{ID_BYTES, NONCE_BYTES};
pub use key::{KEY_BYTES, SealKey};
pub use unopened::Unopened;

/// The most keys that a seal accepts.
pub const MAX_SEAL_KEYS: usize = 8;

/// What an encrypted value begins with: names this form of it.
const ENCRYPTED: &[u8] = b"soloist1:";

/// What stands between the fields of a signed record and the id of its key.
const SIGNED: &[u8] = b",\"h\":\"";

/// What stands after the signature.
const END: &[u8] = b"\"}";

/// The digits of a MAC in base64.
const MAC_DIGITS: usize = 43;

/// Encrypted, a record is at least so long, in bytes of JSON: ordinary ones are shorter, and so all of one length.
const LEAST: usize = 256;

/// A longer one is a multiple of this, in bytes.
const STEP: usize = 64;

/// How a record is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Readable by all, and written by nobody without a key.
    Sign,
    /// Readable by nobody without a key.
    Encrypt,
}

/// How the records of one name are sealed and opened.
#[derive(Debug, Clone, Default)]
pub struct Seal {
    ours: Option<Arc<Ours>>,
}

#[derive(Debug)]
struct Ours {
    /// How to seal; none writes records as they are.
    form: Option<Form>,
    keys: Vec<SealKey>,
    name: String,
    accepts_unsealed: bool,
}

/// What a sealed value shows to those who have no key. Anybody can write the like.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed {
    /// How it is sealed.
    pub form: Form,
    /// The id of its key.
    pub key: String,
    /// The record, where it is readable.
    pub record: Option<Record>,
}

impl Seal {
    /// No seal, and no key: the value is the record's JSON.
    pub const fn none() -> Self {
        Self { ours: None }
    }

    /// A seal for the record at `name`, which is absolute and in lower case. The first key seals, each of them opens.
    ///
    /// Where `form` is none, records are written as they are, and read either way. Otherwise `accepts_unsealed` is for the time in
    /// which a fleet goes over to a seal: as long as it is set, whoever can write the record can change it.
    ///
    /// None where there is no key, or more than [`MAX_SEAL_KEYS`].
    pub fn new(form: Option<Form>, keys: Vec<SealKey>, name: &str, accepts_unsealed: bool) -> Option<Self> {
        let ours = Ours { form, keys, name: name.to_owned(), accepts_unsealed };
        (1..=MAX_SEAL_KEYS).contains(&ours.keys.len()).then(|| Self { ours: Some(Arc::new(ours)) })
    }

    /// How records are written; none for as they are.
    pub fn form(&self) -> Option<Form> {
        self.ours.as_ref().and_then(|ours| ours.form)
    }

    /// The id of the key that seals; none where there is none.
    pub fn key_id(&self) -> Option<&str> {
        self.ours.as_ref().and_then(|ours| ours.keys.first()).map(SealKey::id)
    }

    /// Whether a record without a seal is opened.
    pub fn accepts_unsealed(&self) -> bool {
        self.ours.as_ref().is_none_or(|ours| ours.form.is_none() || ours.accepts_unsealed)
    }

    /// The TXT value of a record. Equal records have equal values, so that a replacement can be repeated identically.
    pub fn seal(&self, record: &Record) -> Vec<u8> {
        let json = record.encode();
        match self.ours.as_deref() {
            Some(Ours { form: Some(form), keys, name, .. }) => match (form, &keys[0]) {
                (Form::Sign, key) => signed(key, name, &json),
                (Form::Encrypt, key) => encrypted(key, name, json),
            },
            _ => json,
        }
    }

    /// The record in a TXT value.
    ///
    /// # Errors
    /// Says what is wrong with the value. No input makes it panic.
    pub fn open(&self, value: &[u8]) -> Result<Record, Unreadable> {
        if value.len() > MAX_RECORD_BYTES {
            return Err(Unreadable::TooLong(value.len()));
        }
        if let Some(rest) = value.strip_prefix(ENCRYPTED) {
            return Record::decode(&self.decrypted(rest)?);
        }
        if let Some((fields, id, mac)) = split_signed(value) {
            return Record::decode(&self.verified(fields, id, &mac)?);
        }
        let record = Record::decode(value)?;
        if record.extra.get("h").and_then(serde_json::Value::as_str).is_some_and(is_signature) {
            // The field is there, and not where we put it.
            return Err(Unopened::Broken.into());
        }
        if self.accepts_unsealed() { Ok(record) } else { Err(Unopened::Unsealed.into()) }
    }

    /// The record to write in place of an older one: with the next count where it is to be sealed, without one otherwise. `newest`
    /// is the highest count that was ever seen, 0 for none, and `wall_ms` the time in milliseconds since the Unix epoch.
    ///
    /// Whoever replaces a record hands it through this first: without it, the older one could be put back unnoticed.
    #[must_use]
    pub fn numbered(&self, record: Record, newest: u64, wall_ms: u64) -> Record {
        let next = record.count.unwrap_or(0).max(newest).saturating_add(1).max(wall_ms);
        Record { count: self.form().map(|_| next), ..record }
    }

    /// The record that was seen, unless it is older than one that was seen before: `newest` is the highest count of those.
    ///
    /// # Errors
    /// It is older, and no record without a seal is accepted.
    pub fn not_older(&self, seen: Option<Record>, newest: u64) -> Result<Option<Record>, Unreadable> {
        let count = seen.as_ref().map_or(newest, |record| record.count.unwrap_or(0));
        if count < newest && !self.accepts_unsealed() {
            return Err(Unopened::Older { count, newest }.into());
        }
        Ok(seen)
    }

    fn verified(&self, fields: &[u8], id: &str, mac: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (name, keys) = self.keys_of(id)?;
        if keys.iter().any(|key| key.verifies(name, &[fields, b"}"], mac)) {
            Ok([fields, b"}"].concat())
        } else {
            Err(Unopened::Broken)
        }
    }

    fn decrypted(&self, rest: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (id, digits) = split_id(rest).ok_or(Unopened::Broken)?;
        let (name, keys) = self.keys_of(id)?;
        let bytes = URL_SAFE_NO_PAD.decode(digits).map_err(|_| Unopened::Broken)?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(Unopened::Broken)?;
        keys.iter()
            .find_map(|key| {
                let mut text = text.to_vec();
                key.decrypt(name, nonce, &mut text).map(|()| text)
            })
            .ok_or(Unopened::Broken)
    }

    /// The name, and the keys that have this id: hardly ever more than one.
    fn keys_of(&self, id: &str) -> Result<(&str, Vec<&SealKey>), Unopened> {
        let Some(ours) = &self.ours else { return Err(Unopened::NoKey(id.to_owned())) };
        let keys: Vec<&SealKey> = ours.keys.iter().filter(|key| key.id() == id).collect();
        if keys.is_empty() { Err(Unopened::OtherKey(id.to_owned())) } else { Ok((&ours.name, keys)) }
    }
}

impl Sealed {
    /// What a value shows without a key; none where it is not sealed.
    pub fn of(value: &[u8]) -> Option<Self> {
        if let Some((id, _)) = value.strip_prefix(ENCRYPTED).and_then(split_id) {
            return Some(Self { form: Form::Encrypt, key: id.to_owned(), record: None });
        }
        let (fields, id, _) = split_signed(value).filter(|_| value.len() <= MAX_RECORD_BYTES)?;
        let record = Record::decode(&[fields, b"}"].concat()).ok();
        Some(Self { form: Form::Sign, key: id.to_owned(), record })
    }
}

fn signed(key: &SealKey, name: &str, json: &[u8]) -> Vec<u8> {
    let fields = json.strip_suffix(b"}").unwrap_or(json);
    let mac = URL_SAFE_NO_PAD.encode(key.sign(name, &[fields, b"}"]));
    [fields, SIGNED, key.id().as_bytes(), b".", mac.as_bytes(), END].concat()
}

fn encrypted(key: &SealKey, name: &str, mut text: Vec<u8>) -> Vec<u8> {
    text.resize(text.len().next_multiple_of(STEP).max(LEAST), b' ');
    let nonce = key.nonce(name, &text);
    // Only a text of 256 GiB is refused.
    key.encrypt(name, &nonce, &mut text).unwrap_or_else(|| unreachable!("a record is longer than XChaCha20 encrypts"));
    let digits = URL_SAFE_NO_PAD.encode([&nonce[..], &text].concat());
    [ENCRYPTED, key.id().as_bytes(), b".", digits.as_bytes()].concat()
}

/// The fields, the id of the key and the MAC, where this is a record with a signature.
fn split_signed(value: &[u8]) -> Option<(&[u8], &str, Vec<u8>)> {
    let value = value.strip_suffix(END)?;
    let (fields, signature) = value.split_at_checked(value.len().checked_sub(ID_BYTES + 1 + MAC_DIGITS)?)?;
    let (id, digits) = split_id(signature)?;
    Some((fields.strip_suffix(SIGNED)?, id, URL_SAFE_NO_PAD.decode(digits).ok()?))
}

/// A key's id and what stands after it and a dot.
fn split_id(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (id, rest) = bytes.split_at_checked(ID_BYTES)?;
    let is_id = id.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then_some((std::str::from_utf8(id).ok()?, rest.strip_prefix(b".")?))
}

/// Whether a field's text looks like a signature of ours.
fn is_signature(text: &str) -> bool {
    split_id(text.as_bytes()).is_some_and(|(_, digits)| digits.len() == MAC_DIGITS)
}

#[cfg(test)]
mod tests;
