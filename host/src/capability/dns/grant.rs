//! The grant `dns`: which names may be asked for, and which servers beside the public ones.

use std::fmt;
use std::str::FromStr as _;

use hickory_proto::rr::Name;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::pattern::Pattern;
use super::server::{PORT, Rule, Server};
use crate::arbiter::presentation::name_text;

/// `dns = ["example.com", "*.example.com"]`, `dns = "*"`, or `dns = { names = ["*"], servers = ["127.0.0.1:5353"] }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    names: Vec<Pattern>,
    servers: Vec<Rule>,
}

/// How far a server's name may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To public addresses.
    Public,
    /// To private and loopback addresses, too.
    Private,
    /// The address itself was named.
    Literal,
}

impl Grant {
    /// A grant of these names, each written as in the configuration.
    ///
    /// # Errors
    /// One of them is none.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let names = names.into_iter().map(Pattern::from_str).collect::<Result<_, _>>()?;
        Ok(Self { names, servers: Vec::new() })
    }

    /// Whether a name may be asked for.
    ///
    /// # Errors
    /// What is missing, with the line to write.
    pub(super) fn check_name(&self, job: &str, name: &Name) -> Result<(), String> {
        if self.names.iter().any(|pattern| pattern.covers(name)) {
            return Ok(());
        }
        let name = name_text(name);
        let line = self.line(Some(&name), None);
        Err(format!("job `{job}` was not granted the name `{name}`: write `{line}` under `[job.{job}.grants]`"))
    }

    /// How far a server's name or address may lead. A name that is looked up needs its grant like any other.
    ///
    /// # Errors
    /// What is missing, with the line to write.
    pub(super) fn check_server(&self, job: &str, server: &Server) -> Result<Reach, String> {
        if let Some(rule) = self.servers.iter().find(|rule| rule.names(server)) {
            return Ok(if matches!(rule, Rule::Address(_)) { Reach::Literal } else { Reach::Private });
        }
        let (port, is_covered) = match server {
            Server::Address(address) => (address.port(), true),
            Server::Named(name, port) => (*port, self.names.iter().any(|pattern| pattern.covers(name))),
        };
        if port == PORT && is_covered { Ok(Reach::Public) } else { Err(self.missing(job, server)) }
    }

    /// That a server is not granted, and the line that grants it.
    pub(super) fn missing(&self, job: &str, server: &Server) -> String {
        let line = self.line(None, Some(&server.to_string()));
        format!("job `{job}` was not granted the server `{server}`: write `{line}` under `[job.{job}.grants]`")
    }

    /// The line of the configuration with one more name or server.
    fn line(&self, name: Option<&str>, server: Option<&str>) -> String {
        let list = |known: Vec<String>, more: Option<&str>| {
            let all: Vec<String> =
                known.into_iter().chain(more.map(str::to_owned)).map(|text| format!("\"{text}\"")).collect();
            all.join(", ")
        };
        let names = list(self.names.iter().map(Pattern::to_string).collect(), name);
        let servers = list(self.servers.iter().map(Rule::to_string).collect(), server);
        if servers.is_empty() {
            return format!("dns = [{names}]");
        }
        format!("dns = {{ names = [{names}], servers = [{servers}] }}")
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GrantVisitor)
    }
}

struct GrantVisitor;

/// The table form.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    names: Vec<String>,
    #[serde(default)]
    servers: Vec<String>,
}

impl<'de> Visitor<'de> for GrantVisitor {
    type Value = Grant;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names, \"*\", or a table with `names` and `servers`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Grant, E> {
        Grant::of([text]).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Grant, A::Error> {
        let mut grant = Grant::default();
        while let Some(text) = list.next_element::<String>()? {
            grant.names.push(text.parse().map_err(de::Error::custom)?);
        }
        Ok(grant)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Grant, A::Error> {
        let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let mut grant = Grant::of(table.names.iter().map(String::as_str)).map_err(de::Error::custom)?;
        for text in &table.servers {
            grant.servers.push(Rule::parse(text).map_err(de::Error::custom)?);
        }
        Ok(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbiter::presentation::name_from;

    #[derive(Debug, serde::Deserialize)]
    struct Grants {
        dns: Grant,
    }

    fn grant(value: &str) -> Grant {
        toml::from_str::<Grants>(&format!("dns = {value}")).unwrap().dns
    }

    fn server(text: &str) -> Server {
        Server::parse(text).unwrap()
    }

    #[test]
    fn a_grant_is_read_in_every_form() {
        assert_eq!(grant("\"*\""), grant("[\"*\"]"));
        assert_eq!(grant("[\"a.example\"]"), grant("{ names = [\"a.example\"] }"));
        for (value, word) in [
            ("7", "a list of names"),
            ("[7]", "a string"),
            ("[\"a..b\"]", "`a..b` is no domain name"),
            ("{ servers = [\"127.0.0.1\"] }", "missing field `names`"),
            ("{ names = [], server = [] }", "unknown field `server`"),
            ("{ names = [], servers = [\"a b\"] }", "`a b` is no server"),
        ] {
            let error = toml::from_str::<Grants>(&format!("dns = {value}")).unwrap_err().to_string();
            assert!(error.contains(word), "{value}: {error}");
        }
    }

    #[test]
    fn a_denial_names_the_whole_line_to_write() {
        let plain = grant("[\"example.com\"]");
        assert_eq!(
            plain.check_name("canary", &name_from("www.example.com").unwrap()).unwrap_err(),
            "job `canary` was not granted the name `www.example.com`: write `dns = [\"example.com\", \"www.example.com\"]` \
             under `[job.canary.grants]`"
        );
        let error = plain.check_server("canary", &server("192.0.2.1:5353")).unwrap_err();
        let line = error.split('`').nth(5).unwrap();
        let written = grant(line.strip_prefix("dns = ").unwrap());
        assert_eq!(written.check_server("canary", &server("192.0.2.1:5353")), Ok(Reach::Literal));
        assert!(written.check_name("canary", &name_from("example.com").unwrap()).is_ok());
    }

    #[test]
    fn a_server_is_public_at_port_53_unless_it_is_named() {
        let grant = grant(
            "{ names = [\"*.example.com\"], servers = [\"127.0.0.1\", \"10.0.0.1:5353\", \"ns.internal\", \"*.lab:5353\"] }",
        );
        let reach = |text: &str| grant.check_server("canary", &server(text)).ok();
        for (text, expected) in [
            ("192.0.2.1", Some(Reach::Public)),
            ("192.0.2.1:5353", None),
            ("127.0.0.1", Some(Reach::Literal)),
            ("127.0.0.1:5353", None),
            ("10.0.0.1:5353", Some(Reach::Literal)),
            ("ns1.example.com", Some(Reach::Public)),
            ("ns1.example.com:5353", None),
            ("ns1.provider.example", None),
            ("ns.internal", Some(Reach::Private)),
            ("a.lab:5353", Some(Reach::Private)),
            ("a.lab", None),
        ] {
            assert_eq!(reach(text), expected, "{text}");
        }
    }
}
