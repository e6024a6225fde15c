//! The current module of a job: what the next run uses. Swapped as a whole, and only for one that passed its loader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::access::Origin;
use super::follow::{self, Due, Seeker};
use super::kept::{Keep, Kept};
use super::load::{LoadError, Loader, load};
use super::mailbox::Mailbox;
use super::source::{Source, Unavailable};
use super::trust::{Distrust, Trusted};
use super::{Digest, file};

/// How long a source may take to say anything, before the last good module is taken meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// A module that passed its loader.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// What the loader made of it.
    pub value: T,
    /// Its size in bytes.
    pub size: u64,
    /// Since when it is the current one.
    pub since: SystemTime,
}

/// A module that did not pass: what stands at the source now, while the one before stays current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// Why: what it lacks to be trusted, or the loader's error, with its causes.
    pub reason: String,
    /// Whether it was trusted, and so loaded at all. One that was not may be, once its signature is there.
    pub is_trusted: bool,
    /// When it was refused.
    pub when: SystemTime,
}

/// The source gives no module now; the one before stays current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Why.
    pub reason: Unavailable,
    /// Since when.
    pub since: SystemTime,
}

/// How often things happened since the slot started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Modules that became current, the first included.
    pub swaps: u64,
    /// Modules that were refused.
    pub refusals: u64,
}

/// The current module of one job, which follows its source until it is dropped.
///
/// A module that stands there already loads like one that appears later: right after the start there is none yet.
pub struct Slot<T> {
    state: Arc<State<T>>,
    due: watch::Sender<Option<Due>>,
    tasks: Vec<AbortHandle>,
    _file: Option<file::Follower>,
}

impl<T: Send + Sync + 'static> Slot<T> {
    /// Starts to follow a source, on the tokio runtime of the caller and in its tracing span.
    ///
    /// Where there is a store to keep it in, each module that passes is noted there. A slot that starts while its source gives
    /// none that passes, or nothing at all for two seconds, takes the last one that did, after its trust was checked again; what
    /// comes from the source replaces it.
    pub fn start(origin: Origin, loader: Loader<T>, keep: Option<Keep>) -> Self {
        let kept = keep.map(|keep| Kept::new(keep, &origin.source, origin.trust.clone()));
        let state = Arc::new(State::new(origin.source.to_string(), kept));
        let mailbox = Arc::new(Mailbox::default());
        let (due, dues) = watch::channel(None);

        let mut tasks = vec![spawn(Arc::clone(&state).take_all(Arc::clone(&mailbox), loader))];
        let mut follower = None;
        if let Some(remote) = origin.remote() {
            tasks.push(spawn(follow::follow(Seeker::new(remote, origin.trust), mailbox, dues)));
        } else if let Source::File(path) = origin.source {
            match file::follow(path.clone(), origin.trust, Arc::clone(&mailbox)) {
                Ok(started) => follower = Some(started),
                Err(error) => mailbox.put(Err(Unavailable::Unreadable {
                    path: path.display().to_string(),
                    reason: format!("no thread to follow it: {error}"),
                })),
            }
        }
        Self { state, due, tasks, _file: follower }
    }

    /// The module to run now; none before the first one passed. Never waits. A run keeps what it got here to its end, whatever
    /// is swapped meanwhile.
    pub fn current(&self) -> Option<Arc<Loaded<T>>> {
        self.state.current.load_full()
    }

    /// Why what stands at the source now is not the current module; none where it is.
    pub fn refusal(&self) -> Option<Arc<Refusal>> {
        self.state.refusal.load_full()
    }

    /// Why the source gives nothing now; none where it does.
    pub fn trouble(&self) -> Option<Arc<Trouble>> {
        self.state.trouble.load_full()
    }

    /// How often a module was swapped in or refused.
    pub fn counters(&self) -> Counters {
        Counters {
            swaps: self.state.swaps.load(Ordering::Relaxed),
            refusals: self.state.refusals.load(Ordering::Relaxed),
        }
    }

    /// Waits for the next change of [`current`](Self::current), [`refusal`](Self::refusal) or [`trouble`](Self::trouble) after
    /// this call, not only after the first poll: call it, look, then wait, and no change is missed.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + use<T> {
        let mut changes = self.state.changes.subscribe();
        async move {
            // Fails when the slot is gone: nothing will change any more.
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Says when the next round is due, so that a remote source is asked for a new module in time: 5 s before, or in half of the time left,
    /// but never more than once a second. The same time told again is no reason to ask again. A file is followed as it is.
    pub fn refresh_before(&self, due: SystemTime) {
        let next = Due::new(due, SystemTime::now());
        self.due.send_if_modified(|told| {
            let is_new = told.is_none_or(|told| !told.is_same(&next));
            if is_new {
                *told = Some(next);
            }
            is_new
        });
    }
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(task.in_current_span()).abort_handle()
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What a slot shows, and the task that keeps it.
struct State<T> {
    source: String,
    kept: Option<Kept>,
    current: ArcSwapOption<Loaded<T>>,
    refusal: ArcSwapOption<Refusal>,
    trouble: ArcSwapOption<Trouble>,
    swaps: AtomicU64,
    refusals: AtomicU64,
    changes: watch::Sender<()>,
}

impl<T: Send + Sync + 'static> State<T> {
    fn new(source: String, kept: Option<Kept>) -> Self {
        Self {
            source,
            kept,
            current: ArcSwapOption::empty(),
            refusal: ArcSwapOption::empty(),
            trouble: ArcSwapOption::empty(),
            swaps: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            changes: watch::Sender::new(()),
        }
    }

    async fn take_all(self: Arc<Self>, mailbox: Arc<Mailbox>, loader: Loader<T>) {
        let mut may_recall = self.kept.is_some();
        loop {
            let news = if may_recall {
                // Nothing for now is no reason to forget what comes later: a message stays in its box.
                timeout(PATIENCE, mailbox.take()).await.unwrap_or_default()
            } else {
                mailbox.take().await
            };
            if let Some(answer) = news.answer {
                self.set_trouble(answer.err());
            }
            if let Some(module) = news.module {
                self.take(module, &loader).await;
            }
            if let Some(distrust) = news.refused {
                self.distrust(&distrust);
            }
            if news.restored.is_some_and(|digest| self.is_current(digest)) {
                self.restore();
            }
            if may_recall {
                may_recall = false;
                if self.current.load().is_none() {
                    self.recall(&loader).await;
                }
            }
        }
    }

    /// Takes the last good module, as long as there is no other.
    async fn recall(&self, loader: &Loader<T>) {
        let Some(kept) = self.kept.clone() else { return };
        // Reading 64 MiB takes a while. It fails where the runtime is shutting down.
        let module = match tokio::task::spawn_blocking(move || kept.recall()).await {
            Ok(Ok(Some(module))) => module,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(distrust)) => {
                return tracing::warn!(event = "store", "the last good module is not used: {distrust}");
            }
        };
        let (digest, size) = (module.digest(), module.bytes().len() as u64);
        match load(Arc::clone(loader), module).await {
            Ok(value) => {
                self.current.store(Some(Arc::new(Loaded { digest, value, size, since: SystemTime::now() })));
                self.swaps.fetch_add(1, Ordering::Relaxed);
                let (digest, source) = (digest.short(), &self.source);
                tracing::warn!(
                    event = "swapped",
                    digest,
                    size,
                    kept = true,
                    "`{source}` gives no module now: the last good one, from the store, is used until it does"
                );
            }
            Err(error) => {
                let reason = with_causes(&error);
                tracing::warn!(event = "store", digest = digest.short(), "the last good module is not used: {reason}");
            }
        }
        self.changes.send_replace(());
    }

    /// Notes that a module passed, while rounds go on.
    fn remember(&self, module: Trusted) {
        if let Some(kept) = self.kept.clone() {
            tokio::task::spawn_blocking(move || kept.remember(&module));
        }
    }

    /// Says that the source gives nothing, or gives something again; each once.
    fn set_trouble(&self, reason: Option<Unavailable>) {
        let before = self.trouble.load();
        if before.as_ref().map(|trouble| &trouble.reason) == reason.as_ref() {
            return;
        }
        if let Some(reason) = &reason {
            let hint = reason.hint().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
            if self.current.load().is_some() {
                tracing::warn!("{reason}; the module in use stays{hint}");
            } else {
                tracing::warn!("there is no module yet: {reason}{hint}");
            }
        } else {
            tracing::info!("`{}` gives a module again", self.source);
        }
        self.trouble.store(reason.map(|reason| Arc::new(Trouble { reason, since: SystemTime::now() })));
        self.changes.send_replace(());
    }

    /// Loads what stands at the source now, unless it was loaded or refused already.
    async fn take(&self, module: Trusted, loader: &Loader<T>) {
        let (digest, size) = (module.digest(), module.bytes().len() as u64);
        if self.is_current(digest) {
            return self.restore();
        }
        if self.refusal.load().as_ref().is_some_and(|refusal| refusal.digest == digest && refusal.is_trusted) {
            return;
        }
        match load(Arc::clone(loader), module.clone()).await {
            Ok(value) => {
                self.swap_in(Loaded { digest, value, size, since: SystemTime::now() }, module.comment());
                self.remember(module);
            }
            Err(error) => self.refuse(digest, with_causes(&error), true),
        }
        self.changes.send_replace(());
    }

    /// Refuses what stands at the source now, unless it is the module in use: that one was trusted, whatever became of its
    /// signature.
    fn distrust(&self, distrust: &Distrust) {
        let reason = distrust.to_string();
        let is_known = |refusal: &Refusal| refusal.digest == distrust.digest && refusal.reason == reason;
        if self.is_current(distrust.digest) || self.refusal.load().as_ref().is_some_and(|refusal| is_known(refusal)) {
            return;
        }
        self.refuse(distrust.digest, reason, false);
        self.changes.send_replace(());
    }

    fn is_current(&self, digest: Digest) -> bool {
        self.current.load().as_ref().is_some_and(|current| current.digest == digest)
    }

    /// The source means the module in use again: nothing is refused any more.
    fn restore(&self) {
        if self.refusal.swap(None).is_some() {
            let digest = self.current.load().as_ref().map(|current| current.digest.short());
            tracing::info!(event = "restored", digest, "`{}` holds the module in use again", self.source);
            self.changes.send_replace(());
        }
    }

    fn swap_in(&self, loaded: Loaded<T>, comment: Option<&str>) {
        let (digest, size) = (loaded.digest, loaded.size);
        let before = self.current.swap(Some(Arc::new(loaded)));
        self.refusal.store(None);
        self.swaps.fetch_add(1, Ordering::Relaxed);
        let before = before.map(|before| before.digest.short());
        let digest = digest.short();
        let source = &self.source;
        tracing::info!(
            event = "swapped",
            digest,
            before,
            size,
            signed = comment,
            "`{source}` is loaded: the next run uses it"
        );
    }

    fn refuse(&self, digest: Digest, reason: String, is_trusted: bool) {
        let kept = self.current.load().as_ref().map(|current| current.digest.short());
        let short = digest.short();
        tracing::error!(event = "refused", digest = short, kept, reason, "`{}` is refused: {reason}", self.source);
        self.refusal.store(Some(Arc::new(Refusal { digest, reason, is_trusted, when: SystemTime::now() })));
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }
}

fn with_causes(error: &LoadError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
