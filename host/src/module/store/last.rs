//! The last good module of a job, for an agent that starts while its source gives none.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::entry::Context;
use super::{Digest, Store, Work, entry, forget};

/// The largest such note, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// What is known of the last module that passed for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// The job's name.
    pub job: String,
    /// Its source, as people are shown it.
    pub source: String,
    /// The SHA-256 of the module, in hexadecimal.
    pub digest: String,
    /// The signature that stood beside it, where there was one: what its trust is checked by again.
    pub signature: Option<String>,
    /// When it passed.
    pub when: SystemTime,
}

impl Store {
    /// The last good module of a job at a source. `identity` is all of the source's text, of which only a digest is written.
    pub fn last(&self, job: &str, identity: &str) -> Option<Last> {
        let name = name(job, identity);
        let path = self.0.root.join("last").join(&name);
        let sealed = self.tried(Work::Read, entry::read(&path, MAX_BYTES))??;
        let payload = self.0.key.open_sealed(Context::Last { name: &name }, &sealed.into());
        let last = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
        if last.is_none() {
            forget(&path, "it is not as it was written here");
        }
        last
    }

    /// Notes the last good module of a job at a source.
    pub fn set_last(&self, job: &str, identity: &str, last: &Last) {
        let name = name(job, identity);
        let Ok(payload) = serde_json::to_vec(last) else { return };
        let seal = self.0.key.seal(Context::Last { name: &name }, &[&payload]);
        let path = self.0.root.join("last").join(&name);
        self.tried(Work::KeepLast, entry::write(&self.0.root, &path, &[&seal, &payload]));
    }
}

/// The file's name: a job of one name may have another source elsewhere, and a source's text may hold a secret.
fn name(job: &str, identity: &str) -> String {
    Digest::of(format!("{job}\n{identity}").as_bytes()).to_string()
}
