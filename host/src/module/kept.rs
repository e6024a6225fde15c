//! The last good module of a job, over restarts: what a slot falls back to while its source gives none that passes.

use super::store::{Last, Store};
use super::trust::{Distrust, Trust, Trusted};
use super::{Digest, Source};

/// Where the last good module of a job is kept.
#[derive(Debug, Clone)]
pub struct Keep {
    /// The store.
    pub store: Store,
    /// The job's name.
    pub job: String,
}

/// What is kept of one job and source.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    keep: Keep,
    /// The source as people are shown it, and all of its text.
    source: String,
    identity: String,
    trust: Trust,
}

impl Kept {
    pub(super) fn new(keep: Keep, source: &Source, trust: Trust) -> Self {
        Self { keep, source: source.to_string(), identity: source.identity(), trust }
    }

    /// The last good module, if it is still there. It may block for as long as a file is read.
    ///
    /// # Errors
    /// It is not to be trusted any more: other digests or keys are asked for by now.
    pub(super) fn recall(&self) -> Result<Option<Trusted>, Distrust> {
        let Some(last) = self.keep.store.last(&self.keep.job, &self.identity) else { return Ok(None) };
        let bytes = Digest::parse(&last.digest).and_then(|digest| self.keep.store.module(digest));
        let signatures: Vec<String> = last.signature.into_iter().collect();
        bytes.map(|bytes| self.trust.check(bytes, &signatures)).transpose()
    }

    /// Notes that this module passed. It may block for as long as a disk takes.
    pub(super) fn remember(&self, module: &Trusted) {
        let last = Last {
            job: self.keep.job.clone(),
            source: self.source.clone(),
            digest: module.digest().to_string(),
            signature: module.signature().map(str::to_owned),
            when: std::time::SystemTime::now(),
        };
        self.keep.store.set_last(&self.keep.job, &self.identity, &last);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::module::DEFAULT_SIZE;
    use crate::module::trust::tests::{GOOD, KEY, MODULE};

    #[test]
    fn what_was_kept_is_trusted_by_the_rules_of_today() {
        let home = tempfile::tempdir().unwrap();
        let keep = Keep { store: Store::open(home.path(), DEFAULT_SIZE).unwrap(), job: "canary".to_owned() };
        let source = Source::parse("https://example.com/a.wasm?token=hush", Path::new("/")).unwrap();
        let kept = |trust: Trust| Kept::new(keep.clone(), &source, trust);
        let module = Trust::default().check("module".into(), &[]).unwrap();
        assert!(kept(Trust::default()).recall().unwrap().is_none(), "there is none yet");
        kept(Trust::default()).remember(&module);
        assert!(kept(Trust::default()).recall().unwrap().is_none(), "its bytes are not there");
        let _held = keep.store.keep_module(module.digest(), b"module");
        assert_eq!(kept(Trust::default()).recall().unwrap().unwrap().digest(), module.digest());

        let pinned = |text: &str| Trust::new(&[Digest::of(text.as_bytes()).to_string()], &[]).unwrap();
        assert!(kept(pinned("module")).recall().unwrap().is_some());
        assert!(kept(pinned("another")).recall().is_err());
        let elsewhere = Source::parse("https://example.com/a.wasm", Path::new("/")).unwrap();
        assert!(Kept::new(keep.clone(), &elsewhere, Trust::default()).recall().unwrap().is_none());
    }

    #[test]
    fn what_was_signed_is_kept_with_its_signature() {
        let home = tempfile::tempdir().unwrap();
        let keep = Keep { store: Store::open(home.path(), DEFAULT_SIZE).unwrap(), job: "canary".to_owned() };
        let source = Source::parse("https://example.com/a.wasm", Path::new("/")).unwrap();
        let trust = Trust::new(&[], &[KEY.to_owned()]).unwrap();
        let module = trust.check(MODULE.into(), &[GOOD.to_owned()]).unwrap();
        let _held = keep.store.keep_module(module.digest(), MODULE);
        let kept = Kept::new(keep, &source, trust);
        kept.remember(&module);
        assert_eq!(kept.recall().unwrap().unwrap().comment(), Some("release 1"));
    }
}
