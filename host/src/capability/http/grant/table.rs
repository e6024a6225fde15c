//! A rule as it stands in TOML: an origin, or a table of an origin and what is granted there.

use std::fmt;

use http::Method;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::Rule;

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
