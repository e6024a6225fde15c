//! The name of an interface in an import or export, and which versions of it fit together.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An interface's name: `soloist:job/http@0.1.0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interface(String);

impl Interface {
    /// The name as it stands in the module.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name without its version: `soloist:job/http`.
    pub fn base(&self) -> &str {
        self.0.split_once('@').map_or(self.0.as_str(), |(base, _)| base)
    }

    /// The package: `soloist:job`.
    pub fn package(&self) -> &str {
        self.base().split_once('/').map_or(self.base(), |(package, _)| package)
    }

    /// The version, where the name has one.
    pub fn version(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, version)| version)
    }

    /// Whether a module that imports `self` can be given `host`: the same interface, in a version of the same family
    /// (`0.1` of `0.1.7`, `1` of `1.2.3`; a pre-release fits only itself).
    pub fn fits(&self, host: &str) -> bool {
        let host = Self::new(host);
        self.base() == host.base() && self.version().map(family) == host.version().map(family)
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of a version that two compatible versions share (semver, as the component model links by it).
fn family(version: &str) -> &str {
    if version.contains('-') {
        return version;
    }
    let release = version.split('+').next().unwrap_or(version);
    let mut dots = release.match_indices('.').map(|(at, _)| at);
    let (first, second) = (dots.next(), dots.next());
    match (first, second) {
        (Some(first), _) if !release.starts_with("0.") => &release[..first],
        (Some(_), Some(second)) if !release.starts_with("0.0.") => &release[..second],
        _ => release,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_falls_into_its_parts() {
        let name = Interface::new("soloist:job/http@0.1.0");
        assert_eq!((name.package(), name.base(), name.version()), ("soloist:job", "soloist:job/http", Some("0.1.0")));
        assert_eq!(Interface::new("plain").version(), None);
    }

    #[test]
    fn versions_of_one_family_fit() {
        for (module, host, fits) in [
            ("a:b/c@0.1.7", "a:b/c@0.1.0", true),
            ("a:b/c@0.1.0", "a:b/c@0.1.7", true),
            ("a:b/c@0.2.0", "a:b/c@0.1.0", false),
            ("a:b/c@1.9.0", "a:b/c@1.2.3", true),
            ("a:b/c@2.0.0", "a:b/c@1.2.3", false),
            ("a:b/c@0.0.1", "a:b/c@0.0.2", false),
            ("a:b/c@0.0.1", "a:b/c@0.0.1", true),
            ("a:b/c@0.2.0-rc-1", "a:b/c@0.2.0", false),
            ("a:b/d@0.1.0", "a:b/c@0.1.0", false),
            ("a:b/c", "a:b/c@0.1.0", false),
            ("a:b/c", "a:b/c", true),
        ] {
            assert_eq!(Interface::new(module).fits(host), fits, "{module} and {host}");
        }
    }
}
