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

/// The parts of one configuration. They hold digests, and no text that may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// What cannot change without a restart, by its place: `[agent] name`.
    fixed: BTreeMap<String, Part>,
    /// What every job goes by.
    shared: Part,
    jobs: BTreeMap<String, Part>,
}

impl Parts {
    /// The parts of this text, whose paths are relative to `base`; none of what is no TOML.
    pub(super) fn of(text: &str, base: &Path) -> Self {
        let mut tables: Table = toml::from_str(text).unwrap_or_default();
        let mut fixed = BTreeMap::new();
        let mut shared = Table::new();
        if let Some(Value::Table(agent)) = tables.remove("agent") {
            for (key, value) in agent {
                if OF_JOBS.contains(&key.as_str()) {
                    shared.insert(format!("agent.{key}"), value);
                } else {
                    fixed.insert(format!("[agent] {key}"), part(&value, base));
                }
            }
        }
        for table in FIXED {
            fixed.extend(tables.remove(table).map(|value| (format!("[{table}]"), part(&value, base))));
        }
        let jobs = match tables.remove("job") {
            Some(Value::Table(jobs)) => jobs.iter().map(|(name, job)| (name.clone(), part(job, base))).collect(),
            _ => BTreeMap::new(),
        };
        shared.extend(tables);
        Self { fixed, shared: part(&Value::Table(shared), base), jobs }
    }

    /// The places of what differs and cannot change without a restart.
    pub fn fixed_changes(&self, new: &Self) -> Vec<String> {
        let places: BTreeSet<&String> = self.fixed.keys().chain(new.fixed.keys()).collect();
        places.into_iter().filter(|place| self.fixed.get(*place) != new.fixed.get(*place)).cloned().collect()
    }

    /// Whether what every job goes by differs: the arbiter, seals, services, and the secrets of each.
    pub fn shares_with(&self, new: &Self) -> bool {
        self.shared == new.shared
    }

    /// Whether both say the same of a job that both have.
    pub fn has_same(&self, new: &Self, job: &str) -> bool {
        self.jobs.contains_key(job) && self.jobs.get(job) == new.jobs.get(job)
    }
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
        assert_eq!(same(&change("5s", "6s")), (vec![], false, true));
        assert_eq!(same(&change("memory", "rfc2136")), (vec![], false, true));
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
    fn a_rotated_key_is_a_change_although_the_text_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let key = |secret: &str| {
            std::fs::write(dir.path().join("key"), secret).unwrap();
            Parts::of(TEXT, dir.path())
        };
        let (old, again, new) = (key("a"), key("a"), key("b"));
        assert_eq!(old, again);
        assert!(!old.shares_with(&new) && old.has_same(&new, "one"));
        assert!(!format!("{new:?}").contains("key"));
    }
}
