//! What a configuration says, part by part: a running agent compares it with what another one says, and exchanges only what
//! differs. The content of every file that it names is part of it, so that a key that was rotated is a change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use super::MAX_FILE;
use crate::files;

/// The keys of `[agent]` that jobs go by, and that may change while it runs.
const OF_JOBS: [&str; 1] = ["reread"];

/// The tables that an agent goes by from its start to its end.
const FIXED: [&str; 2] = ["store", "compiler"];

/// A digest of one part.
pub(super) type Part = [u8; 32];

/// What a job goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct JobPart {
    /// Its own table.
    own: Part,
    /// The places of what it shares with others.
    uses: BTreeSet<String>,
}

/// The parts of one configuration. They hold digests, and no text that may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// What cannot change without a restart, by its place: `[agent] name`.
    fixed: BTreeMap<String, Part>,
    /// What several jobs go by, by its place: `slack`, `secrets.api-token`.
    shared: BTreeMap<String, Part>,
    jobs: BTreeMap<String, JobPart>,
}

impl Parts {
    /// The parts of this text, whose paths are relative to `base`; none of what is no TOML.
    pub(super) fn of(text: &str, base: &Path) -> Self {
        let mut tables: Table = toml::from_str(text).unwrap_or_default();
        let mut fixed = BTreeMap::new();
        let mut shared = BTreeMap::new();
        if let Some(Value::Table(agent)) = tables.remove("agent") {
            for (key, value) in agent {
                if OF_JOBS.contains(&key.as_str()) {
                    shared.insert(format!("agent.{key}"), part(&value, base));
                } else {
                    fixed.insert(format!("[agent] {key}"), part(&value, base));
                }
            }
        }
        for table in FIXED {
            fixed.extend(tables.remove(table).map(|value| (format!("[{table}]"), part(&value, base))));
        }
        let (jobs, http) = (tables.remove("job"), tables.get("http").cloned());
        if let Some(Value::Table(secrets)) = tables.remove("secrets") {
            shared.extend(secrets.iter().map(|(name, secret)| (format!("secrets.{name}"), part(secret, base))));
        }
        if let Some(arbiter) = tables.get_mut("arbiter").and_then(Value::as_table_mut)
            && arbiter.get("kind").and_then(Value::as_str) == Some("powerdns")
        {
            // Its API is reached as `[http]` says.
            arbiter.extend(http.map(|http| ("http".to_owned(), http)));
        }
        shared.extend(tables.iter().map(|(name, table)| (name.clone(), part(table, base))));
        let job = |job: &Value| JobPart { own: part(job, base), uses: uses(job) };
        let jobs = match jobs {
            Some(Value::Table(jobs)) => jobs.iter().map(|(name, table)| (name.clone(), job(table))).collect(),
            _ => BTreeMap::new(),
        };
        Self { fixed, shared, jobs }
    }

    /// The places of what differs and cannot change without a restart.
    pub fn fixed_changes(&self, new: &Self) -> Vec<String> {
        let places: BTreeSet<&String> = self.fixed.keys().chain(new.fixed.keys()).collect();
        places.into_iter().filter(|place| self.fixed.get(*place) != new.fixed.get(*place)).cloned().collect()
    }

    /// Whether all that jobs share is the same: the arbiter, seals, services, and every secret.
    pub fn shares_with(&self, new: &Self) -> bool {
        self.shared == new.shared
    }

    /// Whether both have the same arbiter, with the same key.
    pub fn has_same_arbiter(&self, new: &Self) -> bool {
        self.shared.get("arbiter") == new.shared.get("arbiter")
    }

    /// Whether both say the same of a job that both have, and of everything shared that it goes by.
    pub fn has_same(&self, new: &Self, job: &str) -> bool {
        let (Some(old), Some(now)) = (self.jobs.get(job), new.jobs.get(job)) else { return false };
        let places: BTreeSet<&String> = self.shared.keys().chain(new.shared.keys()).collect();
        let mut used = places.into_iter().filter(|place| !is_of_some(place) || old.uses.contains(*place));
        old == now && used.all(|place| self.shared.get(place) == new.shared.get(place))
    }
}

/// Whether only those jobs go by what stands at a place that say so: all others concern every job.
fn is_of_some(place: &str) -> bool {
    place.starts_with("secrets.") || ["http", "slack", "dns"].contains(&place)
}

/// Which of these places a job goes by.
fn uses(job: &Value) -> BTreeSet<String> {
    let grant = |name: &str| job.get("grants").and_then(|grants| grants.get(name));
    let mut uses: BTreeSet<String> =
        ["slack", "dns"].into_iter().filter(|name| grant(name).is_some()).map(str::to_owned).collect();
    // A module that is no file is fetched by the same clients that requests are sent with.
    let is_fetched = job.get("module").and_then(Value::as_str).is_none_or(|module| module.contains(':'));
    if is_fetched || ["http", "slack"].into_iter().any(|name| grant(name).is_some()) {
        uses.insert("http".to_owned());
    }
    let secrets = grant("secrets").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    uses.extend(secrets.map(|name| format!("secrets.{name}")));
    uses
}

fn part(value: &Value, base: &Path) -> Part {
    let mut hash = Sha256::new();
    feed(&mut hash, "", value, base);
    hash.finalize().into()
}

/// Every value with its key, in a form that no other table has.
fn feed(hash: &mut Sha256, key: &str, value: &Value, base: &Path) {
    let mut put = |kind: u8, bytes: &[u8]| {
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    put(b'k', key.as_bytes());
    match value {
        Value::Table(table) => {
            put(b't', &(table.len() as u64).to_be_bytes());
            // In their order in the text, which says nothing.
            let sorted: BTreeMap<&String, &Value> = table.iter().collect();
            for (key, value) in sorted {
                feed(hash, key, value, base);
            }
        }
        Value::Array(values) => {
            put(b'a', &(values.len() as u64).to_be_bytes());
            for value in values {
                feed(hash, key, value, base);
            }
        }
        Value::String(text) => {
            put(b's', text.as_bytes());
            if key == "file" || key.ends_with("-file") {
                match files::read(&base.join(text), MAX_FILE) {
                    Ok(content) => put(b'f', &content),
                    Err(error) => put(b'e', error.kind().to_string().as_bytes()),
                }
            }
        }
        other => put(b'v', other.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[agent]\nname = \"a\"\nreread = \"5s\"\n[arbiter]\nkind = \"memory\"\nsecret-file = \"key\"\n\
                        [job.one]\nrecord = \"one.example.com\"\n[job.two]\nrecord = \"two.example.com\"\n";

    fn parts(text: &str) -> Parts {
        Parts::of(text, Path::new("/none/such"))
    }

    #[test]
    fn a_change_is_of_its_own_part_alone() {
        let old = parts(TEXT);
        let change = |from: &str, to: &str| parts(&TEXT.replace(from, to));
        let same = |new: &Parts| (old.fixed_changes(new), old.shares_with(new), old.has_same(new, "one"));
        assert_eq!(same(&change("two.example.com", "2.example.com")), (vec![], true, true));
        assert_eq!(same(&change("one.example.com", "1.example.com")), (vec![], true, false));
        assert_eq!(same(&change("\"a\"", "\"b\"")), (vec!["[agent] name".to_owned()], true, true));
        assert_eq!(same(&change("5s", "6s")), (vec![], false, false));
        assert_eq!(same(&change("memory", "rfc2136")), (vec![], false, false));
        assert_eq!(
            same(&parts(&format!("# a remark\n{TEXT}[store]\npath = \"x\"\n"))),
            (vec!["[store]".to_owned()], true, true)
        );
        assert_eq!(same(&change("[job.one]\nrecord", "[job.three]\nrecord")), (vec![], true, false));
    }

    #[test]
    fn what_stands_in_a_list_is_a_change_and_the_order_of_keys_is_none() {
        let job = |grants: &str| parts(&format!("[job.one]\nrecord = \"a\"\n[job.one.grants]\n{grants}"));
        let old = job("http = [\"https://a.example\"]\nslack = []");
        assert!(old.has_same(&job("slack = []\nhttp = [\"https://a.example\"]"), "one"));
        assert!(!old.has_same(&job("http = [\"https://b.example\"]\nslack = []"), "one"));
        assert!(!old.has_same(&job("http = []\nslack = [\"https://a.example\"]"), "one"));
    }

    #[test]
    fn a_rotated_secret_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let secret = |content: &str| {
            std::fs::write(dir.path().join("token"), content).unwrap();
            Parts::of("[secrets.token]\nfile = \"token\"\n", dir.path())
        };
        assert!(secret("a").shares_with(&secret("a")));
        assert!(!secret("a").shares_with(&secret("b")));
    }

    #[test]
    fn what_is_shared_is_a_change_of_those_that_use_it() {
        const JOBS: &str = "[job.plain]\nmodule = \"a.wasm\"\n[job.url]\nmodule = \"https://example.com/a.wasm\"\n\
                            [job.post]\nmodule = \"a.wasm\"\n[job.post.grants]\nslack = [\"#ops\"]\n\
                            [job.look]\nmodule = \"a.wasm\"\n[job.look.grants]\ndns = [\"a.example\"]\nsecrets = [\"one\"]\n\
                            [job.fetch]\nmodule = \"a.wasm\"\n[job.fetch.grants]\nhttp = [\"https://a.example\"]\nsecrets = [\"two\"]\n";
        let old = parts(JOBS);
        for (tables, changed) in [
            ("[slack]\ntoken-env = \"A\"", vec!["post"]),
            ("[http]\nca-file = \"a.pem\"", vec!["url", "post", "fetch"]),
            ("[dns]\nservers = [\"192.0.2.1\"]", vec!["look"]),
            ("[secrets.one]\nenv = \"A\"", vec!["look"]),
            ("[secrets.two]\nenv = \"A\"", vec!["fetch"]),
            ("[secrets.three]\nenv = \"A\"", vec![]),
            ("[seal]\nkind = \"sign\"", vec!["plain", "url", "post", "look", "fetch"]),
            ("[something.new]", vec!["plain", "url", "post", "look", "fetch"]),
        ] {
            let new = parts(&format!("{JOBS}{tables}\n"));
            let all = ["plain", "url", "post", "look", "fetch"];
            for (old, new) in [(&old, &new), (&new, &old)] {
                let others: Vec<&str> = all.into_iter().filter(|job| !old.has_same(new, job)).collect();
                assert_eq!(others, changed, "{tables}");
                assert!(!old.shares_with(new) && old.has_same_arbiter(new));
            }
        }
        let api = |more: &str| parts(&format!("[arbiter]\nkind = \"powerdns\"\n{JOBS}{more}"));
        let (old, new) = (api(""), api("[http]\nca-file = \"a.pem\"\n"));
        assert!(!old.has_same_arbiter(&new) && !old.has_same(&new, "plain"), "the API is reached by `[http]`");
    }

    #[test]
    fn a_rotated_key_is_a_change_although_the_text_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let key = |secret: &str| {
            std::fs::write(dir.path().join("key"), secret).unwrap();
            Parts::of(TEXT, dir.path())
        };
        let (old, again, new) = (key("a"), key("a"), key("b"));
        assert_eq!(old, again);
        assert!(!old.shares_with(&new) && !old.has_same_arbiter(&new) && !old.has_same(&new, "one"));
        assert!(!format!("{new:?}").contains("key"));
    }
}
