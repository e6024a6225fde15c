//! The text that belongs to a job and not to an agent: it stands in the record, and a run that ends well may change it.

use std::fmt;

/// The longest that a job's text may be, in bytes of JSON: its quotation marks and escapes count.
pub const MAX_DATA_BYTES: usize = 400;

/// A text that fits into a record beside everything else, sealed too.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Data(String);

impl Data {
    /// The text, if it fits.
    ///
    /// # Errors
    /// It is longer than [`MAX_DATA_BYTES`]: how many bytes it has as a JSON string.
    pub fn new(text: String) -> Result<Self, usize> {
        let bytes = serde_json::Value::from(text.as_str()).to_string().len();
        if bytes <= MAX_DATA_BYTES { Ok(Self(text)) } else { Err(bytes) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the text: it is a job's own, and may be encrypted where it stands.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} bytes)", self.0.len())
    }
}

/// What a run makes of the job's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Change {
    /// It stays what it is.
    #[default]
    Nothing,
    /// It becomes this; none clears it.
    To(Option<Data>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_the_length_as_json() {
        assert!(Data::new("x".repeat(MAX_DATA_BYTES - 2)).is_ok());
        assert_eq!(Data::new("x".repeat(MAX_DATA_BYTES - 1)), Err(MAX_DATA_BYTES + 1));
        assert!(Data::new("\"".repeat(199)).is_ok());
        assert_eq!(Data::new("\"".repeat(200)), Err(402));
        assert_eq!(Data::new("\u{1}".repeat(100)), Err(602));
        assert_eq!(Data::new("ä".repeat(200)), Err(402));
    }

    #[test]
    fn the_text_is_in_no_debug_output() {
        assert_eq!(format!("{:?}", Data::new("hush".to_owned()).unwrap()), "Data(4 bytes)");
    }
}
