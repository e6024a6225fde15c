//! What names an artifact: `REGISTRY/NAME`, and `:TAG`, `@sha256:DIGEST` or both behind it.
//!
//! The grammar is that of the distribution project (<https://pkg.go.dev/github.com/distribution/reference>), within the limits of
//! the OCI distribution specification 1.1. What is read here goes into a URL as it is: nothing in it needs an escape.

use std::fmt;

use super::super::Digest;
use super::super::source::is_loopback;

/// The longest host name of a registry, in characters: as long as a domain name is.
const MAX_HOST: usize = 253;

/// The longest name in a registry, in characters.
const MAX_NAME: usize = 255;

/// The longest tag, in characters.
const MAX_TAG: usize = 128;

/// The tag where neither a tag nor a digest is written.
const DEFAULT_TAG: &str = "latest";

/// What docker calls its own registry, and the host that serves it.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_HOST: &str = "index.docker.io";

/// A reference: its registry is always named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    registry: String,
    name: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    /// Which part is wrong, and why; without any of the text, which may hold a password that was put there by mistake.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.contains(['?', '#']) {
            return Err("it is no URL: nothing follows the tag or the digest".to_owned());
        }
        let (registry, rest) = text.split_once('/').ok_or("there is no registry and name")?;
        check_registry(registry)?;
        let (rest, digest) = match rest.split_once('@') {
            None => (rest, None),
            Some((rest, digest)) => {
                (rest, Some(sha256(digest).ok_or("its digest is no SHA-256 (`sha256:` and 64 hexadecimal digits)")?))
            }
        };
        let (name, tag) = match rest.split_once(':') {
            None => (rest, None),
            Some((name, tag)) => (name, Some(tag)),
        };
        check_name(name)?;
        tag.map(check_tag).transpose()?;
        let tag = tag.or_else(|| digest.is_none().then_some(DEFAULT_TAG)).map(str::to_owned);
        let registry = if registry == DOCKER_HUB_HOST { DOCKER_HUB } else { registry };
        // Docker's own images have a name of one part, and stand below another.
        let is_dockers = registry == DOCKER_HUB && !name.contains('/');
        let name = if is_dockers { format!("library/{name}") } else { name.to_owned() };
        Ok(Self { registry: registry.to_owned(), name, tag, digest })
    }

    /// The host, and the port where one is written, that serves the registry.
    pub(super) fn host(&self) -> &str {
        if self.registry == DOCKER_HUB { DOCKER_HUB_HOST } else { &self.registry }
    }

    /// The name in the registry.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The tag; there is none only where there is a digest, which goes before it.
    pub(super) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest.
    pub(super) const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Whether the registry is on this machine.
    pub(super) fn is_local(&self) -> bool {
        is_loopback(host_and_port(&self.registry).0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@sha256:{digest}"))
    }
}

/// A digest as manifests and references have it. Of the algorithms that there may be, only this one is ever used.
pub(super) fn sha256(text: &str) -> Option<Digest> {
    text.strip_prefix("sha256:").filter(|digits| !digits.contains(':')).and_then(Digest::parse)
}

/// A host, in brackets where it is an IPv6 address, and what stands behind its `:`.
fn host_and_port(registry: &str) -> (&str, Option<&str>) {
    let end = registry.find(']').map_or(0, |end| end + 1);
    match registry[end..].split_once(':') {
        Some((rest, port)) => (&registry[..end + rest.len()], Some(port)),
        None => (registry, None),
    }
}

fn check_registry(registry: &str) -> Result<(), String> {
    if registry.is_empty() {
        return Err("there is no registry and name".to_owned());
    }
    if registry.contains('@') {
        return Err("credentials belong into the docker configuration".to_owned());
    }
    if !registry.contains(['.', ':']) && registry != "localhost" {
        return Err("its registry is no host name: it has neither a `.` nor a port".to_owned());
    }
    let (host, port) = host_and_port(registry);
    if host.len() > MAX_HOST {
        return Err(format!("its registry's host name is longer than {MAX_HOST} characters"));
    }
    let is_number =
        |port: &str| port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if port.is_some_and(|port| !is_number(port)) {
        return Err("its registry's port is none of 1 to 65535".to_owned());
    }
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    if is_host { Ok(()) } else { Err("its registry is neither a host name nor an address".to_owned()) }
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
}

fn check_name(name: &str) -> Result<(), String> {
    if name.len() > MAX_NAME {
        return Err(format!("its name is longer than {MAX_NAME} characters"));
    }
    if name.bytes().any(|c| c.is_ascii_uppercase()) {
        return Err("its name has capital letters".to_owned());
    }
    if name.split('/').all(is_part) {
        return Ok(());
    }
    Err("its name is not of letters and digits with single `.`, `_`, `__` or `-` between them".to_owned())
}

/// A part of a name: letters and digits, with one separator between them: `.`, `_`, `__` or any number of `-`.
fn is_part(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator = |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|c| c == b'-');
    part.starts_with(is_word) && part.ends_with(is_word) && part.split(is_word).all(is_separator)
}

fn check_tag(tag: &str) -> Result<(), String> {
    if tag.len() > MAX_TAG {
        return Err(format!("its tag is longer than {MAX_TAG} characters"));
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if tag.starts_with(is_word) && tag.chars().all(|c| is_word(c) || matches!(c, '.' | '-')) {
        return Ok(());
    }
    Err("its tag is not of letters, digits, `_`, `.` and `-`, or begins with one of the last two".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_distribution_reads_them() {
        let ones = "1".repeat(64);
        // From the tests of the distribution project's package `reference`.
        for (text, host, name, tag, has_digest) in [
            ("test.com/repo:tag", "test.com", "repo", Some("tag"), false),
            ("test:5000/repo", "test:5000", "repo", Some("latest"), false),
            (&format!("test:5000/repo@sha256:{ones}"), "test:5000", "repo", None, true),
            (&format!("test:5000/repo:tag@sha256:{ones}"), "test:5000", "repo", Some("tag"), true),
            (
                "sub-dom1.foo.com/bar/baz/quux:some-long-tag",
                "sub-dom1.foo.com",
                "bar/baz/quux",
                Some("some-long-tag"),
                false,
            ),
            (
                "b.gcr.io/test.example.com/my-app:test.example.com",
                "b.gcr.io",
                "test.example.com/my-app",
                Some("test.example.com"),
                false,
            ),
            ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", Some("xn--n3h.com"), false),
            ("[fc00::1]:5000/repo:tag", "[fc00::1]:5000", "repo", Some("tag"), false),
            ("[::1]/repo", "[::1]", "repo", Some("latest"), false),
            ("a.b/c__d/e--f/g_h:_", "a.b", "c__d/e--f/g_h", Some("_"), false),
            ("docker.io/hello-world", "index.docker.io", "library/hello-world", Some("latest"), false),
            ("index.docker.io/acme/a", "index.docker.io", "acme/a", Some("latest"), false),
        ] {
            let read = Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (read.host(), read.name(), read.tag(), read.digest().is_some()),
                (host, name, tag, has_digest),
                "{text}"
            );
            assert_eq!(Reference::parse(&read.to_string()), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_part_that_is_wrong() {
        for (text, reason) in [
            ("", "no registry and name"),
            ("a.b", "no registry and name"),
            ("/repo:tag", "no registry and name"),
            ("acme/repo", "neither a `.` nor a port"),
            ("-a.b/c", "neither a host name"),
            ("a..b/c", "neither a host name"),
            ("a_b.c/d", "neither a host name"),
            ("[::1/c:d", "port"),
            ("[::g]/c", "neither a host name"),
            ("[1.2.3.4]/c", "neither a host name"),
            ("a[::1]/c", "neither a host name"),
            ("a.b:/c", "port"),
            ("a.b:0/c", "port"),
            ("a.b:65536/c", "port"),
            ("a.b:+1/c", "port"),
            ("a.b/", "its name"),
            ("a.b/C", "capital"),
            ("a.b/c/", "its name"),
            ("a.b//c", "its name"),
            ("a.b/../c", "its name"),
            ("a.b/c_", "its name"),
            ("a.b/c___d", "its name"),
            ("a.b/c.-d", "its name"),
            ("a.b/é", "its name"),
            ("a.b/c%2fd", "its name"),
            ("a.b/c:", "its tag"),
            ("a.b/c:-d", "its tag"),
            ("a.b/c:d/e", "its tag"),
            ("a.b/c:d:e", "its tag"),
            ("a.b/c:é", "its tag"),
            ("a.b/c@", "no SHA-256"),
            ("a.b/c@md5:00", "no SHA-256"),
            ("a.b/c:d?e", "no URL"),
        ] {
            let error = Reference::parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        let ones = "1".repeat(64);
        for digest in [
            ones.clone(),
            format!("sha256:{}", &ones[1..]),
            format!("sha256:sha256:{ones}"),
            format!("sha256:{ones}@a"),
        ] {
            assert!(Reference::parse(&format!("a.b/c@{digest}")).unwrap_err().contains("no SHA-256"), "{digest}");
        }
    }

    #[test]
    fn each_part_has_a_longest_length() {
        for (text, most) in [
            (|n: usize| format!("{}.b/c", "a".repeat(n - 2)), MAX_HOST),
            (|n: usize| format!("a.b/{}", "c".repeat(n)), MAX_NAME),
            (|n: usize| format!("a.b/c:{}", "d".repeat(n)), MAX_TAG),
        ] as [(fn(usize) -> String, usize); 3]
        {
            assert!(Reference::parse(&text(most)).is_ok());
            assert!(Reference::parse(&text(most + 1)).unwrap_err().contains(&format!("longer than {most}")));
        }
    }
}
