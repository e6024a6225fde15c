//! The configuration as it stands in TOML, before anything is checked.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::capability;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    #[serde(default)]
    pub(super) agent: Agent,
    pub(super) arbiter: Arbiter,
    #[serde(default)]
    pub(super) http: capability::http::HttpConfig,
    #[serde(default)]
    pub(super) secrets: capability::secrets::SecretsConfig,
    #[serde(default)]
    pub(super) slack: capability::slack::SlackConfig,
    #[serde(default)]
    pub(super) dns: capability::dns::DnsConfig,
    pub(super) seal: Option<Seal>,
    #[serde(default)]
    pub(super) store: Store,
    #[serde(default)]
    pub(super) compiler: Compiler,
    #[serde(default)]
    pub(super) job: BTreeMap<String, Job>,
}

/// `[agent]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Agent {
    pub(super) name: Option<String>,
    pub(super) grace: Option<Span>,
    pub(super) reread: Option<Span>,
    pub(super) metrics: Option<String>,
}

/// `[arbiter]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Arbiter {
    pub(super) kind: String,
    pub(super) server: Option<String>,
    pub(super) url: Option<String>,
    pub(super) server_id: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) key: Option<Key>,
    pub(super) api_key_file: Option<PathBuf>,
    pub(super) api_key_env: Option<String>,
    pub(super) ttl: Option<u32>,
    pub(super) timeout: Option<Span>,
    pub(super) settle: Option<Span>,
}

/// `key = { … }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) algorithm: Option<String>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) secret_env: Option<String>,
}

/// `[seal]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Seal {
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) keys: Vec<capability::SecretSource>,
    #[serde(default)]
    pub(super) accept_unsealed: bool,
}

/// `[store]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Store {
    pub(super) path: Option<PathBuf>,
    pub(super) size: Option<Size>,
}

/// `[compiler]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Compiler {
    pub(super) memory: Option<Size>,
    pub(super) time: Option<Span>,
}

/// `[job.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Job {
    pub(super) record: String,
    pub(super) every: Option<Span>,
    pub(super) cron: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) module: String,
    #[serde(default)]
    pub(super) sha256: Several,
    #[serde(default)]
    pub(super) minisign: Several,
    pub(super) timeout: Option<Span>,
    pub(super) lease: Option<Span>,
    pub(super) attempts: Option<u32>,
    pub(super) backoff: Option<Span>,
    pub(super) spread: Option<Span>,
    pub(super) delivery: Option<String>,
    pub(super) missed: Option<String>,
    pub(super) catch_up: Option<u32>,
    pub(super) start_deadline: Option<Span>,
    pub(super) memory: Option<Size>,
    pub(super) seal: Option<String>,
    #[serde(default)]
    pub(super) require_same_module: bool,
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) grants: capability::Grants,
    #[serde(default)]
    pub(super) config: toml::Table,
}

/// One text, or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Several(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Several {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Several;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a list of texts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Several, E> {
        Ok(Several(vec![text.to_owned()]))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut texts: A) -> Result<Several, A::Error> {
        let mut several = Vec::new();
        while let Some(text) = texts.next_element()? {
            several.push(text);
        }
        Ok(Several(several))
    }
}

/// A length of time, written with its unit: `"90s"`, `"1m 30s"`, `"500ms"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text("a length of time with its unit, such as \"90s\" or \"5m\"", PhantomData))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text).map(Self).map_err(|error| format!("`{text}` is no length of time: {error}"))
    }
}

/// A number of bytes, written with its unit: `"256MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text("a size with its unit, such as \"256MiB\"", PhantomData))
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let scale = match text[digits.len()..].trim() {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(format!("`{text}` is no size: write a whole number of KiB, MiB or GiB, such as `256MiB`")),
        };
        let number: u64 = digits.parse().map_err(|_| format!("`{text}` is no size: expected a number and its unit"))?;
        number.checked_mul(scale).map(Self).ok_or_else(|| format!("`{text}` is too much"))
    }
}

/// Reads a value from a string, and says what was expected where there is something else.
struct Text<T>(&'static str, PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}
