//! Why a value is not opened although something stands there. No message holds what is secret.

/// Why a seal does not open a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// It is sealed, and there is no key at all.
    #[error("the record is sealed, and there is no key to open it with (its key has the id `{0}`)")]
    NoKey(String),
    /// It is sealed with a key that is none of ours.
    #[error("the record is sealed with a key that is not there (its key has the id `{0}`)")]
    OtherKey(String),
    /// It is not what was sealed.
    #[error("the seal is broken: the record was changed, or was sealed for another name")]
    Broken,
    /// It is not sealed, and must be.
    #[error("the record is not sealed, and must be")]
    Unsealed,
    /// It is older than one that was seen before.
    #[error("the record is an old one that was put back: its count `n` is {count}, and it was {newest} before")]
    Older {
        /// Its count; 0 for none.
        count: u64,
        /// The highest count that was seen.
        newest: u64,
    },
}
