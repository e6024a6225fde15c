//! The grant `http`: which origins and methods a job may use, and what to add where it may not.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Method;
use reqwest::Url;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::client::Reach;

/// `http = ["https://api.example.com", { origin = "https://x.example", methods = ["GET"], private = true }]`.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(transparent)]
pub struct Grant {
    rules: Vec<Rule>,
}

/// One entry of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    origin: Origin,
    /// Empty for all methods.
    methods: Vec<Method>,
    private: bool,
}

/// A scheme, a host or a pattern of hosts, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    /// Lower-case ASCII, or an address as the URL standard writes it.
    host: String,
    port: u16,
    /// One or more labels stand before the host.
    wildcard: bool,
}

/// Why a text is no entry of a grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no origin: {reason}, as in `https://api.example.com`, `http://127.0.0.1:8080` or `https://*.example.com`"
)]
pub struct OriginError {
    text: String,
    reason: &'static str,
}

impl Grant {
    /// A grant of these origins with all methods, each written as in the configuration.
    ///
    /// # Errors
    /// One of them is no origin.
    pub fn of<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginError> {
        let rules = origins.into_iter().map(Rule::from_str).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// Where a request may go: how far its host may reach, by the first rule that allows it.
    ///
    /// # Errors
    /// What is missing in the grant, in words, with the line to write.
    pub(super) fn check(&self, job: &str, method: &Method, url: &Url) -> Result<Reach, String> {
        let mut origin_known = false;
        for rule in self.rules.iter().filter(|rule| rule.origin.covers(url)) {
            origin_known = true;
            if rule.methods.is_empty() || rule.methods.contains(method) {
                return Ok(rule.reach());
            }
        }
        let origin = url.origin().ascii_serialization();
        if origin_known {
            return Err(format!(
                "the grant of job `{job}` for `{origin}` does not allow {method}: add it to its `methods` under \
                 `[job.{job}.grants]`"
            ));
        }
        Err(format!(
            "job `{job}` was not granted `{origin}`: write `{}` under `[job.{job}.grants]`",
            self.with(&origin)
        ))
    }

    /// Where a request of whatever method may go: how far its host may reach.
    ///
    /// # Errors
    /// What is missing in the grant, in words, with the line to write.
    pub(super) fn check_origin(&self, job: &str, url: &Url) -> Result<Reach, String> {
        match self.rules.iter().find(|rule| rule.origin.covers(url)) {
            Some(rule) => Ok(rule.reach()),
            None => self.check(job, &Method::GET, url),
        }
    }

    /// Whether one of the origins is this URL's.
    pub(in crate::capability) fn covers(&self, url: &Url) -> bool {
        self.rules.iter().any(|rule| rule.origin.covers(url))
    }

    /// The first origin that is reached without TLS, and is neither this machine nor an address.
    pub(in crate::capability) fn readable_on_the_way(&self) -> Option<String> {
        let readable = |origin: &&Origin| {
            origin.scheme == "http" && (origin.wildcard || origin.host != "localhost" && origin.address().is_none())
        };
        self.rules.iter().map(|rule| &rule.origin).find(readable).map(Origin::to_string)
    }

    /// The line of the configuration with one more origin.
    fn with(&self, origin: &str) -> String {
        let mut entries: Vec<String> = self.rules.iter().map(Rule::to_string).collect();
        entries.push(format!("\"{origin}\""));
        format!("http = [{}]", entries.join(", "))
    }

    /// The rule's text for a host that may be private.
    pub(super) fn private_line(url: &Url) -> String {
        format!("{{ origin = \"{}\", private = true }}", url.origin().ascii_serialization())
    }
}

impl Rule {
    fn reach(&self) -> Reach {
        if self.origin.address().is_some() {
            Reach::Literal
        } else if self.private {
            Reach::Private
        } else if self.origin.host == "localhost" {
            Reach::Loopback
        } else {
            Reach::Public
        }
    }
}

impl Origin {
    fn covers(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let host_fits = if self.wildcard {
            host.strip_suffix(&self.host)
                .and_then(|labels| labels.strip_suffix('.'))
                .is_some_and(|labels| !labels.is_empty())
        } else {
            host == self.host
        };
        host_fits && url.scheme() == self.scheme && url.port_or_known_default() == Some(self.port)
    }

    fn address(&self) -> Option<IpAddr> {
        literal(&self.host)
    }
}

/// The address that a URL's host is, if it is one.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

impl FromStr for Rule {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        Ok(Self { origin: text.parse()?, methods: Vec::new(), private: false })
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let wrong = |reason| OriginError { text: without_secrets(text), reason };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it needs a scheme and a host"))?;
        let (wildcard, rest) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
        if rest.contains('*') {
            return Err(wrong("`*` stands only for whole labels at the beginning of the host"));
        }
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| wrong("it is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("its scheme must be `http` or `https`"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("an origin has no path"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("an origin has no user and no password"));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(wrong("it has no host"));
        };
        if wildcard && (literal(host).is_some() || !host.trim_end_matches('.').contains('.')) {
            return Err(wrong("`*.` needs a domain of at least two labels after it"));
        }
        Ok(Self { scheme: url.scheme().to_owned(), host: host.to_owned(), port, wildcard })
    }
}

/// What of a text that is no origin can be shown: a user, a password and a path may be secrets, as Slack's webhooks are.
fn without_secrets(text: &str) -> String {
    let (start, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = (&rest[..end], if rest[end..].len() > 1 { "/…" } else { &rest[end..] });
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{start}…@{host}{path}"),
        None => format!("{start}{host}{path}"),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, if self.wildcard { "*." } else { "" }, self.host)?;
        match (self.scheme.as_str(), self.port) {
            ("http", 80) | ("https", 443) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.methods.is_empty() && !self.private {
            return write!(f, "\"{}\"", self.origin);
        }
        write!(f, "{{ origin = \"{}\"", self.origin)?;
        if !self.methods.is_empty() {
            let methods: Vec<String> = self.methods.iter().map(|method| format!("\"{method}\"")).collect();
            write!(f, ", methods = [{}]", methods.join(", "))?;
        }
        if self.private {
            write!(f, ", private = true")?;
        }
        write!(f, " }}")
    }
}

/// The table form of a rule.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    origin: String,
    #[serde(default)]
    methods: Option<Vec<String>>,
    #[serde(default)]
    private: bool,
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RuleVisitor)
    }
}

struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = Rule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an origin, or a table with `origin`, `methods` and `private`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rule, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rule, A::Error> {
        let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let origin = table.origin.parse().map_err(de::Error::custom)?;
        let methods = match table.methods {
            None => Vec::new(),
            Some(names) if names.is_empty() => {
                return Err(de::Error::custom("`methods` must name at least one method"));
            }
            Some(names) => names.iter().map(|name| method(name)).collect::<Result<_, _>>()?,
        };
        Ok(Rule { origin, methods, private: table.private })
    }
}

fn method<E: de::Error>(name: &str) -> Result<Method, E> {
    let valid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    Method::from_bytes(name.as_bytes())
        .ok()
        .filter(|_| valid)
        .ok_or_else(|| E::custom(format!("`{name}` is no method: write it in capitals, as in `GET`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(grant: &Grant, method: &Method, url: &str) -> Result<Reach, String> {
        grant.check("canary", method, &Url::parse(url).unwrap())
    }

    #[test]
    fn an_origin_covers_exactly_itself() {
        for (origin, url, covered) in [
            ("https://api.example.com", "https://api.example.com/a?b", true),
            ("https://api.example.com", "https://API.example.com:443/", true),
            ("https://api.example.com", "http://api.example.com/", false),
            ("https://api.example.com", "http://api.example.com:443/", false),
            ("https://api.example.com", "https://api.example.com:8443/", false),
            ("https://api.example.com", "https://example.com/", false),
            ("https://api.example.com", "https://api.example.com.evil.example/", false),
            ("https://api.example.com", "https://api.example.com@evil.example/", false),
            ("https://api.example.com", "https://xapi.example.com/", false),
            ("https://api.example.com", "https://api.example.com./", false),
            ("https://api.example.com/", "https://api.example.com/", true),
            ("https://API.Example.com", "https://api.example.com/", true),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/x", true),
            ("http://127.0.0.1:8080", "http://0x7f.1:8080/x", true),
            ("http://127.0.0.1:8080", "http://2130706433:8080/x", true),
            ("http://127.0.0.1:8080", "http://0177.0.0.1:8080/x", true),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8081/x", false),
            ("http://127.0.0.1:8080", "http://localhost:8080/x", false),
            ("http://127.0.0.1:8080", "http://[::ffff:127.0.0.1]:8080/x", false),
            ("http://[::1]:8080", "http://[0:0::1]:8080/x", true),
            ("https://*.example.com", "https://a.example.com/", true),
            ("https://*.example.com", "https://a.b.example.com/", true),
            ("https://*.example.com", "https://example.com/", false),
            ("https://*.example.com", "https://.example.com/", false),
            ("https://*.example.com", "https://evilexample.com/", false),
            ("https://*.example.com", "https://example.com.evil.example/", false),
            ("https://bücher.example", "https://xn--bcher-kva.example/", true),
        ] {
            let grant = Grant::of([origin]).unwrap();
            assert_eq!(reach(&grant, &Method::GET, url).is_ok(), covered, "{origin} and {url}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_with_the_reason() {
        for (text, shown, reason) in [
            ("api.example.com", "api.example.com", "a scheme and a host"),
            ("ftp://example.com", "ftp://example.com", "`http` or `https`"),
            ("https://example.com/path", "https://example.com/…", "no path"),
            ("https://example.com?x", "https://example.com/…", "no path"),
            ("https://user@example.com", "https://…@example.com", "no user"),
            ("https://", "https://", "no URL"),
            ("https://*", "https://*", "whole labels"),
            ("https://*.com", "https://*.com", "two labels"),
            ("https://*.10.0.0.1", "https://*.10.0.0.1", "two labels"),
            ("https://a.*.example.com", "https://a.*.example.com", "whole labels"),
            ("https://exa mple.com", "https://exa mple.com", "no URL"),
        ] {
            let error = Grant::of([text]).unwrap_err().to_string();
            // Of a URL, no more than its scheme and host is repeated: the rest may be a secret.
            assert!(error.contains(reason) && error.contains(&format!("`{shown}`")), "{text}: {error}");
        }
    }

    #[test]
    fn a_rule_says_how_far_its_host_may_reach() {
        let grant: Grants = toml::from_str(
            "http = [\"https://a.example\", \"http://localhost:1\", \"http://10.0.0.1\",
                     { origin = \"https://b.example\", methods = [\"GET\", \"HEAD\"], private = true }]",
        )
        .unwrap();
        let grant = grant.http;
        assert_eq!(reach(&grant, &Method::POST, "https://a.example/"), Ok(Reach::Public));
        assert_eq!(reach(&grant, &Method::POST, "http://localhost:1/"), Ok(Reach::Loopback));
        assert_eq!(reach(&grant, &Method::POST, "http://10.0.0.1/"), Ok(Reach::Literal));
        assert_eq!(reach(&grant, &Method::HEAD, "https://b.example/"), Ok(Reach::Private));
        let error = reach(&grant, &Method::POST, "https://b.example/").unwrap_err();
        assert!(error.contains("does not allow POST") && error.contains("`methods`"), "{error}");
    }

    #[derive(serde::Deserialize)]
    struct Grants {
        http: Grant,
    }

    #[test]
    fn a_denial_names_the_whole_line_to_write() {
        let grant: Grants = toml::from_str(
            "http = [\"https://a.example\", { origin = \"http://b.example:81\", methods = [\"GET\"], private = true }]",
        )
        .unwrap();
        let error = reach(&grant.http, &Method::GET, "https://evil.example:8443/secret?x").unwrap_err();
        assert_eq!(
            error,
            "job `canary` was not granted `https://evil.example:8443`: write `http = [\"https://a.example\", { origin = \
             \"http://b.example:81\", methods = [\"GET\"], private = true }, \"https://evil.example:8443\"]` under \
             `[job.canary.grants]`"
        );
        let line = error.split('`').nth(5).unwrap();
        assert!(toml::from_str::<Grants>(line).is_ok(), "{line}");
    }

    #[test]
    fn a_table_is_checked_as_a_whole() {
        for (entry, reason) in [
            ("{ origin = \"https://a.example\", method = [\"GET\"] }", "unknown field `method`"),
            ("{ origin = \"https://a.example\", methods = [] }", "at least one"),
            ("{ origin = \"https://a.example\", methods = [\"get\"] }", "in capitals"),
            ("{ methods = [\"GET\"] }", "missing field `origin`"),
            ("{ origin = \"a.example\" }", "`a.example` is no origin"),
            ("7", "an origin, or a table"),
        ] {
            let error = toml::from_str::<Grants>(&format!("http = [{entry}]")).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(reason), "{entry}: {error}");
        }
    }
}
