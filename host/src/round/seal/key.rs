//! A seal's key: 32 secret bytes, of which no text shows anything but an id; each use has a key of its own, derived from them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ring::hmac;
use zeroize::Zeroizing;

/// How long a key is, in bytes.
pub const KEY_BYTES: usize = 32;

/// How long a key's id is: digits, hexadecimal and lower-case.
pub(super) const ID_BYTES: usize = 8;

/// How long a nonce of `XChaCha20` is, in bytes.
pub(super) const NONCE_BYTES: usize = 24;

/// What the text of a key begins with, so that a secret of another kind is not taken for one, and so that a leaked one is found.
const PREFIX: &str = "soloist-seal-1.";

/// One key. It has no `Debug` text but its id. What encrypts is wiped from memory when it is dropped.
#[derive(Clone)]
pub struct SealKey {
    id: String,
    sign: hmac::Key,
    nonce: hmac::Key,
    encrypt: XChaCha20Poly1305,
}

impl SealKey {
    /// The key of these bytes, which must be random.
    pub fn new(secret: &[u8; KEY_BYTES]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = |label: &str| {
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            key.copy_from_slice(hmac::sign(&secret, format!("soloist seal 1: {label}").as_bytes()).as_ref());
            key
        };
        let id = derived("id").iter().take(ID_BYTES / 2).map(|byte| format!("{byte:02x}")).collect();
        Self {
            id,
            sign: hmac::Key::new(hmac::HMAC_SHA256, &*derived("sign")),
            nonce: hmac::Key::new(hmac::HMAC_SHA256, &*derived("nonce")),
            encrypt: XChaCha20Poly1305::new((&*derived("encrypt")).into()),
        }
    }

    /// The key in a text of one line, as [`text`](Self::text) writes it; none if there is no such key in it.
    pub fn from_text(text: &str) -> Option<Self> {
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim().strip_prefix(PREFIX)?).ok()?);
        let secret: &[u8; KEY_BYTES] = secret.as_slice().try_into().ok()?;
        Some(Self::new(secret))
    }

    /// The text of the key of these bytes: for writing a key file, and nothing else.
    pub fn text(secret: &[u8; KEY_BYTES]) -> Zeroizing<String> {
        let mut text = Zeroizing::new(PREFIX.to_owned());
        URL_SAFE_NO_PAD.encode_string(secret, &mut text);
        text
    }

    /// What tells it from other keys: eight hexadecimal digits, which stand in each record that it seals.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The HMAC-SHA-256 (RFC 2104) of `parts` for a name.
    pub(super) fn sign(&self, name: &str, parts: &[&[u8]]) -> hmac::Tag {
        mac(&self.sign, name, parts)
    }

    /// Whether this is that HMAC, in a time that does not depend on where it differs.
    pub(super) fn verifies(&self, name: &str, parts: &[&[u8]], tag: &[u8]) -> bool {
        hmac::verify(&self.sign, &message(name, parts), tag).is_ok()
    }

    /// The nonce for a text: a keyed hash of it and of the name.
    ///
    /// So equal records have equal values, and a nonce is met again for another text with the probability of a collision
    /// of 192 bits. That reveals no more than that two values are the same record, which their bytes show anyway.
    pub(super) fn nonce(&self, name: &str, text: &[u8]) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&mac(&self.nonce, name, &[text]).as_ref()[..NONCE_BYTES]);
        nonce
    }

    /// Encrypts a text in its place with XChaCha20-Poly1305, and adds the tag; none where it is longer than any record.
    pub(super) fn encrypt(&self, name: &str, nonce: &[u8; NONCE_BYTES], text: &mut Vec<u8>) -> Option<()> {
        self.encrypt.encrypt_in_place(XNonce::from_slice(nonce), name.as_bytes(), text).ok()
    }

    /// Decrypts in its place; none where that is not what was encrypted for this name.
    pub(super) fn decrypt(&self, name: &str, nonce: &[u8; NONCE_BYTES], text: &mut Vec<u8>) -> Option<()> {
        self.encrypt.decrypt_in_place(XNonce::from_slice(nonce), name.as_bytes(), text).ok()
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey").field("id", &self.id).finish_non_exhaustive()
    }
}

fn mac(key: &hmac::Key, name: &str, parts: &[&[u8]]) -> hmac::Tag {
    hmac::sign(key, &message(name, parts))
}

/// The name's length comes first, so that no other name and text make the same message.
fn message(name: &str, parts: &[&[u8]]) -> Vec<u8> {
    let length = (name.len() as u64).to_be_bytes();
    [&[&length[..], name.as_bytes()], parts].concat().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_holds_the_key_and_nothing_but_such_a_text_does() {
        let secret = [7; KEY_BYTES];
        let text = SealKey::text(&secret);
        assert_eq!(SealKey::from_text(&text).unwrap().id(), SealKey::new(&secret).id());
        assert_eq!(SealKey::from_text(&format!("{}\r\n", *text)).unwrap().id(), SealKey::new(&secret).id());
        let bare = text.trim_start_matches(PREFIX);
        for other in ["", PREFIX, bare, &text[..text.len() - 1], &format!("{}A", *text), &format!("{PREFIX}{bare}=")] {
            assert!(SealKey::from_text(other).is_none(), "{other}");
        }
    }

    #[test]
    fn no_text_shows_more_than_the_id() {
        let key = SealKey::new(&[7; KEY_BYTES]);
        assert_eq!(format!("{key:?}"), format!("SealKey {{ id: {:?}, .. }}", key.id()));
        assert_eq!(key.id().len(), ID_BYTES);
    }
}
