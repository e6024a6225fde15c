//! Why an arbiter did not do what it was asked, in words that say what to check.

/// Why an arbiter could not be read or asked to write. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arbiter could not be reached, or did not answer in time.
    #[error("the arbiter at `{place}` does not answer: {reason}")]
    Unreachable {
        /// Its address.
        place: String,
        /// What happened.
        reason: String,
    },
    /// The arbiter refused us: wrong key, no permission, not its zone.
    #[error("the arbiter at `{place}` refused: {reason}")]
    Refused {
        /// Its address.
        place: String,
        /// What it said, in words, with what to check.
        reason: String,
    },
    /// The answer makes no sense.
    #[error("the arbiter at `{place}` answered nonsense: {reason}")]
    Nonsense {
        /// Its address.
        place: String,
        /// What was wrong.
        reason: String,
    },
}
