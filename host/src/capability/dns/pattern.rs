//! Which names a grant covers: one, all below one, or all.

use std::fmt;
use std::str::FromStr;

use hickory_proto::rr::Name;

use crate::arbiter::presentation::{name_from, name_text};

/// A name, `*.` and a name, or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// Every name.
    Any,
    /// One name.
    Exactly(Name),
    /// The names below one, and not that one itself.
    Below(Name),
}

impl Pattern {
    /// Whether a name, in lower case and absolute, is covered.
    pub fn covers(&self, name: &Name) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(exactly) => exactly == name,
            Self::Below(above) => above.zone_of(name) && above != name,
        }
    }

    /// The name that everything covered is at or below; none for every name.
    pub const fn name(&self) -> Option<&Name> {
        match self {
            Self::Any => None,
            Self::Exactly(name) | Self::Below(name) => Some(name),
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        if rest.contains('*') {
            return Err(format!("`{text}` is no name: `*` stands alone, or for whole labels at the beginning"));
        }
        let name = name_from(rest)?;
        Ok(if below { Self::Below(name) } else { Self::Exactly(name) })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exactly(name) => f.write_str(&name_text(name)),
            Self::Below(name) => write!(f, "*.{}", name_text(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_whole_labels() {
        for (pattern, name, covered) in [
            ("example.com", "example.com", true),
            ("Example.COM.", "example.com", true),
            ("example.com", "a.example.com", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "evilexample.com", false),
            ("*.example.com", "example.com.evil.test", false),
            ("*", "example.com", true),
            ("*", ".", true),
            ("*.com", "example.com", true),
        ] {
            let found = pattern.parse::<Pattern>().unwrap().covers(&name_from(name).unwrap());
            assert_eq!(found, covered, "{pattern} and {name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "a..b", "a.*.example.com", "*example.com", "**", "*.*.example.com", "a b"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
