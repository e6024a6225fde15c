//! Randomness fit for cryptography. Granted to every job.
//!
//! ```no_run
//! use soloist_sdk::random;
//!
//! let key: Vec<u8> = random::bytes(32);
//! let die = 1 + random::below(6);
//! ```

use crate::host::random as host;

/// The most bytes that the host gives at once.
const MAX_BYTES: u32 = 65_536;

/// A number, each as likely as any other.
pub fn number() -> u64 {
    host::number()
}

/// A number below this one, each as likely as any other.
///
/// # Panics
/// There is none below zero.
pub fn below(end: u64) -> u64 {
    assert!(end > 0, "there is no number below zero");
    // What is above the last whole multiple would make some numbers likelier than others.
    let fair = u64::MAX - u64::MAX % end;
    loop {
        let number = number();
        if number < fair {
            return number % end;
        }
    }
}

/// So many bytes, each as likely as any other.
pub fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let missing = u32::try_from(length - bytes.len()).unwrap_or(MAX_BYTES).min(MAX_BYTES);
        bytes.extend(host::bytes(missing));
    }
    bytes
}
