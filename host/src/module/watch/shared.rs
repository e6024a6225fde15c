//! The one watcher that everything in this process is watched with: systems give few (Linux 128 inotify instances to a user by
//! default), and many directories to each.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// How long somebody waits for directories to be watched. Where a network file system hangs, the others go on without.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many requests may wait for the watcher's thread.
const WAITING: usize = 4096;

/// Of which entries of a directory changes are of interest: those that begin so, or all.
pub(super) type Names = Option<Vec<OsString>>;

/// Somebody who is woken.
type Subscriber = u64;

/// What is called from another thread when something may have changed. It must not wait for anything.
type Wake = Box<dyn Fn() + Send>;

/// The one that is there, while anything is watched.
static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

/// A watcher in a thread of its own, and who is to be woken.
pub(super) struct Shared {
    registry: Arc<Mutex<Registry>>,
    requests: SyncSender<Request>,
}

/// To bring the watch on a directory in line with what is wanted.
struct Request {
    directory: PathBuf,
    done: SyncSender<()>,
}

#[derive(Default)]
struct Registry {
    last: Subscriber,
    wakes: HashMap<Subscriber, Wake>,
    directories: HashMap<PathBuf, Directory>,
}

#[derive(Default)]
struct Directory {
    /// The inode that was to be watched last: a directory that was replaced must be watched anew.
    watched: Option<u64>,
    wanted: HashMap<Subscriber, Names>,
}

/// Somebody's part of it; given back when it is dropped.
pub(super) struct Part {
    shared: Arc<Shared>,
    subscriber: Subscriber,
    directories: Vec<PathBuf>,
}

impl Part {
    /// A part of the one that is there, or of a new one.
    ///
    /// # Errors
    /// The system gives no watcher or thread.
    pub(super) fn new(wake: Wake) -> notify::Result<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let there = if let Some(there) = shared.upgrade() {
            there
        } else {
            let new = Arc::new(Shared::start()?);
            *shared = Arc::downgrade(&new);
            new
        };
        drop(shared);
        let subscriber = {
            let mut registry = there.registry();
            registry.last += 1;
            let subscriber = registry.last;
            registry.wakes.insert(subscriber, wake);
            subscriber
        };
        Ok(Self { shared: there, subscriber, directories: Vec::new() })
    }

    /// Wants these directories watched, and no others any more. Waits for it, but not for long.
    pub(super) fn want(&mut self, directories: BTreeMap<PathBuf, Names>) {
        // Before the registry is locked: a file system that hangs is to stop nobody else.
        let inodes: Vec<Option<u64>> = directories.keys().map(|directory| inode(directory)).collect();
        let mut changed = Vec::new();
        let mut registry = self.shared.registry();
        for old in std::mem::take(&mut self.directories) {
            if !directories.contains_key(&old) && registry.leave(&old, self.subscriber) {
                changed.push(old);
            }
        }
        for ((directory, names), inode) in directories.into_iter().zip(inodes) {
            let there = registry.directories.entry(directory.clone()).or_default();
            there.wanted.insert(self.subscriber, names);
            if inode.is_some() && there.watched != inode {
                changed.push(directory.clone());
            }
            self.directories.push(directory);
        }
        drop(registry);
        self.shared.reconcile(changed, PATIENCE);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut registry = self.shared.registry();
        registry.wakes.remove(&self.subscriber);
        let left = std::mem::take(&mut self.directories);
        let unwanted = left.into_iter().filter(|directory| registry.leave(directory, self.subscriber)).collect();
        drop(registry);
        self.shared.reconcile(unwanted, Duration::ZERO);
    }
}

impl Shared {
    fn start() -> notify::Result<Self> {
        let registry = Arc::new(Mutex::new(Registry::default()));
        let (told, known) = (Arc::clone(&registry), Arc::clone(&registry));
        let watcher = notify::recommended_watcher(move |event| lock(&told).tell(event))?;
        let (requests, waiting) = sync_channel(WAITING);
        let run = move || run(watcher, &known, &waiting);
        thread::Builder::new().name("soloist-watch".to_owned()).spawn(run).map_err(notify::Error::io)?;
        Ok(Self { registry, requests })
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }

    /// Has the watches on these directories changed, and waits for it at most so long.
    fn reconcile(&self, directories: Vec<PathBuf>, patience: Duration) {
        let (done, told) = sync_channel(directories.len());
        let asked = directories.into_iter().filter(|directory| {
            // Where too many wait, this one is left to polling until it is looked at again.
            self.requests.try_send(Request { directory: directory.clone(), done: done.clone() }).is_ok()
        });
        let asked = asked.count();
        let until = Instant::now() + patience;
        for _ in 0..asked {
            if told.recv_timeout(until.saturating_duration_since(Instant::now())).is_err() {
                return;
            }
        }
    }
}

fn lock(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does what is asked, one request after the other, until nobody is left to ask. It holds no lock while the system may wait.
fn run(mut watcher: RecommendedWatcher, registry: &Mutex<Registry>, requests: &Receiver<Request>) {
    for Request { directory, done } in requests {
        loop {
            let known = lock(registry).get(&directory);
            let Some((is_wanted, before)) = known else { break };
            let inode = if is_wanted { inode(&directory) } else { None };
            if is_wanted && inode == before {
                // Somebody else has asked for it, too.
                break;
            }
            // Fails where there was no watch, or the directory is gone and the watch with it.
            let _ = watcher.unwatch(&directory);
            if inode.is_some()
                && let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive)
            {
                tracing::debug!(%error, "changes in `{}` are looked for by polling only", directory.display());
            }
            if lock(registry).settle(&directory, inode, is_wanted) {
                break;
            }
        }
        // Nobody may wait for it any more.
        let _ = done.try_send(());
    }
}

impl Registry {
    /// Somebody no longer wants a directory. `true` where nobody does.
    fn leave(&mut self, directory: &Path, subscriber: Subscriber) -> bool {
        self.directories.get_mut(directory).is_some_and(|there| {
            there.wanted.remove(&subscriber);
            there.wanted.is_empty()
        })
    }

    /// Whether anybody wants a directory, and which inode is watched; none where it is not known at all.
    fn get(&self, directory: &Path) -> Option<(bool, Option<u64>)> {
        self.directories.get(directory).map(|there| (!there.wanted.is_empty(), there.watched))
    }

    /// Takes down which inode is watched now. `false` where meanwhile somebody came to want it, or nobody does any more.
    fn settle(&mut self, directory: &Path, inode: Option<u64>, was_wanted: bool) -> bool {
        let Some(there) = self.directories.get_mut(directory) else { return true };
        there.watched = inode;
        let is_wanted = !there.wanted.is_empty();
        if !is_wanted && !was_wanted {
            self.directories.remove(directory);
        }
        is_wanted == was_wanted
    }

    /// Wakes those whom an event concerns, and everybody where it does not say what happened.
    fn tell(&mut self, event: notify::Result<Event>) {
        let event = event.unwrap_or_default();
        if !super::is_change(event.kind) {
            return;
        }
        let mut concerned: Vec<Subscriber> = Vec::new();
        let mut is_known = !event.paths.is_empty();
        for path in &event.paths {
            let (within, name) = (path.parent(), path.file_name());
            is_known &= self.directories.contains_key(path)
                || within.is_some_and(|within| self.directories.contains_key(within));
            if let Some(there) = self.directories.get_mut(path) {
                if is_removal(event.kind) {
                    // The watch goes with it; what comes in its place may have the same inode.
                    there.watched = None;
                }
                concerned.extend(there.wanted.keys());
            }
            if let Some((there, name)) = within.and_then(|within| self.directories.get(within)).zip(name) {
                let begins = |wanted: &OsString| name.as_encoded_bytes().starts_with(wanted.as_encoded_bytes());
                let is_meant = |names: &Names| names.as_ref().is_none_or(|names| names.iter().any(begins));
                concerned.extend(there.wanted.iter().filter(|(_, names)| is_meant(names)).map(|(who, _)| who));
            }
        }
        if is_known {
            concerned.iter().filter_map(|who| self.wakes.get(who)).for_each(|wake| wake());
        } else {
            self.wakes.values().for_each(|wake| wake());
        }
    }
}

const fn is_removal(kind: EventKind) -> bool {
    matches!(kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)))
}

#[cfg(unix)]
fn inode(directory: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    directory.metadata().ok().map(|data| data.ino())
}

#[cfg(not(unix))]
fn inode(directory: &Path) -> Option<u64> {
    directory.metadata().ok().map(|_| 0)
}
