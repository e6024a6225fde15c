//! The grant `dns-update`: which RRsets a job may replace.

use hickory_proto::rr::{Name, RecordType};
use serde::{Deserialize, Deserializer, de};

use crate::arbiter::presentation::{is_meta, name_text, type_from, type_text};
use crate::capability::dns::Pattern;

/// Types that are the zone's own, or its signer's: no grant names them.
const NEVER: [RecordType; 9] = [
    RecordType::SOA,
    RecordType::DNSKEY,
    RecordType::RRSIG,
    RecordType::NSEC,
    RecordType::NSEC3,
    RecordType::NSEC3PARAM,
    RecordType::SIG,
    RecordType::CDS,
    RecordType::CDNSKEY,
];

/// `dns-update = [{ name = "www.example.com", types = ["A", "AAAA"] }]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Grant(Vec<Rule>);

/// One entry of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    name: Pattern,
    types: Vec<RecordType>,
}

impl Grant {
    /// The names that everything in it is at or below.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().filter_map(|rule| rule.name.name())
    }

    /// Whether an entry names this name, and not those below one.
    pub fn names_exactly(&self, name: &Name) -> bool {
        self.0.iter().any(|rule| matches!(&rule.name, Pattern::Exactly(granted) if granted == name))
    }

    /// Whether an entry names the servers of this zone itself.
    pub fn names_servers_of(&self, zone: &Name) -> bool {
        let is_it = |rule: &Rule| matches!(&rule.name, Pattern::Exactly(name) if name == zone);
        self.0.iter().any(|rule| is_it(rule) && rule.types.contains(&RecordType::NS))
    }

    /// Whether an RRset may be replaced.
    ///
    /// # Errors
    /// What is missing, with the line to write.
    pub(super) fn check(&self, job: &str, name: &Name, rtype: RecordType) -> Result<(), String> {
        if self.0.iter().any(|rule| rule.name.covers(name) && rule.types.contains(&rtype)) {
            return Ok(());
        }
        let (name, kind) = (name_text(name), type_text(rtype));
        if NEVER.contains(&rtype) {
            return Err(format!("{kind} records are the zone's own: no job changes them"));
        }
        let more = format!("{{ name = \"{name}\", types = [\"{kind}\"] }}");
        let line: Vec<String> = self.0.iter().map(Rule::to_string).chain([more]).collect();
        Err(format!(
            "job `{job}` was not granted the {kind} records of `{name}`: write `dns-update = [{}]` under \
             `[job.{job}.grants]`",
            line.join(", ")
        ))
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let types: Vec<String> = self.types.iter().map(|rtype| format!("\"{}\"", type_text(*rtype))).collect();
        write!(f, "{{ name = \"{}\", types = [{}] }}", self.name, types.join(", "))
    }
}

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    types: Vec<String>,
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Table { name, types } = Table::deserialize(deserializer)?;
        let pattern: Pattern = name.parse().map_err(de::Error::custom)?;
        if pattern == Pattern::Any {
            return Err(de::Error::custom("`*` would be every name: write `*.` and the name that all are below"));
        }
        if types.is_empty() {
            return Err(de::Error::custom(format!("`{name}` has no types: write `types = [\"A\"]`")));
        }
        let rtype = |text: &String| {
            let found = type_from(text).filter(|rtype| !is_meta(*rtype));
            match found {
                None => Err(de::Error::custom(format!("`{text}` is no type of records, such as `A` or `TXT`"))),
                Some(rtype) if NEVER.contains(&rtype) => Err(de::Error::custom(format!(
                    "{text} records are the zone's own, and no job changes them: leave the type out"
                ))),
                Some(rtype) => Ok(rtype),
            }
        };
        Ok(Self { name: pattern, types: types.iter().map(rtype).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbiter::presentation::name_from;

    #[derive(Debug, Deserialize)]
    struct Grants {
        grant: Grant,
    }

    fn grant(text: &str) -> Result<Grant, String> {
        toml::from_str::<Grants>(&format!("grant = {text}"))
            .map(|grants| grants.grant)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_grant_is_of_names_and_types() {
        let grant = grant(
            "[{ name = \"www.example.com\", types = [\"A\", \"aaaa\"] }, { name = \"*.dyn.example.com\", types = [\"TXT\"] }]",
        )
        .unwrap();
        for (name, rtype, granted) in [
            ("www.example.com", RecordType::A, true),
            ("www.example.com", RecordType::AAAA, true),
            ("www.example.com", RecordType::TXT, false),
            ("a.www.example.com", RecordType::A, false),
            ("a.dyn.example.com", RecordType::TXT, true),
            ("a.b.dyn.example.com", RecordType::TXT, true),
            ("dyn.example.com", RecordType::TXT, false),
            ("a.dyn.example.com", RecordType::A, false),
            ("www.example.com", RecordType::SOA, false),
        ] {
            let found = grant.check("canary", &name_from(name).unwrap(), rtype);
            assert_eq!(found.is_ok(), granted, "{name} {rtype}: {found:?}");
        }
        let error = grant.check("canary", &name_from("x.example.com").unwrap(), RecordType::from(65280)).unwrap_err();
        let line = error.split('`').nth(5).unwrap().strip_prefix("dns-update = ").unwrap();
        assert!(super::tests::grant(line).is_ok(), "{line}");
    }

    #[test]
    fn what_is_no_grant_is_refused() {
        for (text, word) in [
            ("[\"www.example.com\"]", "Table"),
            ("[{ name = \"www.example.com\" }]", "`types`"),
            ("[{ name = \"www.example.com\", types = [] }]", "has no types"),
            ("[{ name = \"www.example.com\", types = [\"B\"] }]", "`B` is no type"),
            ("[{ name = \"www.example.com\", types = [\"ANY\"] }]", "`ANY` is no type"),
            ("[{ name = \"www.example.com\", types = [\"SOA\"] }]", "zone's own"),
            ("[{ name = \"www.example.com\", types = [\"RRSIG\"] }]", "zone's own"),
            ("[{ name = \"*\", types = [\"A\"] }]", "every name"),
            ("[{ name = \"a..b\", types = [\"A\"] }]", "`a..b`"),
            ("[{ name = \"a\", types = [\"A\"], ttl = 1 }]", "unknown field `ttl`"),
        ] {
            let error = grant(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
