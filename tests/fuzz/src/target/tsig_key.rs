//! Any text as a key file: a key or a refusal, and nothing of the text in either.

use crate::arbiter::tsig::{Algorithm, Key, KeyError};

/// What an error calls the text.
const ORIGIN: &str = "the key file `k`";

/// Reads the text as a key file, and once more without its last secret.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    read(text);
    if let Some((before, _)) = text.rsplit_once("secret") {
        read(before);
    }
}

/// Reads the text as a key of each algorithm.
fn read(text: &str) {
    for algorithm in [Algorithm::HmacSha256, Algorithm::HmacSha384, Algorithm::HmacSha512] {
        match Key::new("soloist", algorithm, text, ORIGIN) {
            Ok(key) => {
                let secret = key.secret_base64();
                assert!((4..=684).contains(&secret.len()), "a secret has 1 to 512 bytes");
                let again = Key::new("soloist", algorithm, &secret, ORIGIN).expect("a key's own secret is one");
                assert_eq!(again.secret_base64(), secret);
                assert!(secret.len() < 8 || !format!("{key:?}").contains(&secret));
                let _ = key.signer();
            }
            Err(error) => {
                // Words of ours alone.
                let (said, name, algorithm) = (error.to_string(), "soloist", algorithm.name());
                let expected = match error {
                    KeyError::Secret(_) => format!(
                        "{ORIGIN} holds no secret: expected base64, or a `key` clause as BIND and Knot tools write it"
                    ),
                    KeyError::OtherName { .. } => format!("{ORIGIN} does not hold the key `{name}`"),
                    KeyError::OtherAlgorithm { .. } => {
                        format!("{ORIGIN} has the key `{name}` with another algorithm than `{algorithm}`")
                    }
                    other => panic!("no such error comes from a text: {other}"),
                };
                assert_eq!(said, expected);
            }
        }
    }
    // A key's name comes from the configuration.
    let _ = Key::new(text, Algorithm::HmacSha256, "AAAA", ORIGIN);
    let _ = text.parse::<Algorithm>();
}
