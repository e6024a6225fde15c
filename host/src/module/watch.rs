//! Being told by the system when the directories that a path leads through change. A hint only: it may come late, twice or never.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// As many symbolic links as Linux follows in one path.
const MAX_LINKS: usize = 40;

/// Watches the directory of a path, and the directory of every symbolic link on the way to the file.
///
/// So a Kubernetes volume is seen to change: there `module.wasm` is a link to `..data/module.wasm`, and `..data` a link that is
/// replaced.
pub(crate) struct Watch {
    watcher: Option<RecommendedWatcher>,
    /// What is watched, with the inode that the watch is on: a directory that was replaced must be watched anew.
    watched: BTreeMap<PathBuf, Option<u64>>,
}

impl Watch {
    /// A watch on nothing yet. `wake` is called from another thread whenever something may have changed.
    ///
    /// Where the system gives no watch (a limit on inotify instances) it says so once, and stays silent.
    pub(crate) fn new(wake: impl Fn() + Send + 'static) -> Self {
        let handler = move |event: notify::Result<Event>| {
            if event.map_or(true, |event| is_change(event.kind)) {
                wake();
            }
        };
        let watcher = notify::recommended_watcher(handler)
            .inspect_err(|error| tracing::warn!(%error, "file changes are looked for by polling only"))
            .ok();
        Self { watcher, watched: BTreeMap::new() }
    }

    /// Watches what this path leads through now. What cannot be watched is left to polling.
    pub(crate) fn follow(&mut self, path: &Path) {
        self.follow_directories(entries(path).iter().filter_map(|entry| entry.parent()));
    }

    /// Watches these directories, and no other any more. What cannot be watched is left to polling.
    pub(crate) fn follow_directories<'a>(&mut self, directories: impl IntoIterator<Item = &'a Path>) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeMap<PathBuf, Option<u64>> =
            directories.into_iter().map(|directory| (directory.to_owned(), inode(directory))).collect();
        if wanted == self.watched {
            return;
        }
        for (directory, inode) in &self.watched {
            if wanted.get(directory) != Some(inode) {
                // Fails where the directory is gone, and the watch with it.
                let _ = watcher.unwatch(directory);
            }
        }
        for (directory, inode) in &wanted {
            if inode.is_some()
                && self.watched.get(directory) != Some(inode)
                && let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive)
            {
                tracing::debug!(%error, "changes in `{}` are looked for by polling only", directory.display());
            }
        }
        self.watched = wanted;
    }
}

/// Reading is no change: our own would wake us for ever.
const fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
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

/// Every symbolic link on the way that this path leads, and its last entry; each without a link in its directory's path.
fn entries(path: &Path) -> Vec<PathBuf> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut entries = Vec::new();
    let mut at = PathBuf::new();
    let mut links = 0;
    // The parts still to walk, the next one last.
    let mut parts: Vec<PathBuf> = reversed(&path);
    while let Some(part) = parts.pop() {
        match part.components().next() {
            Some(Component::ParentDir) => _ = at.pop(),
            Some(Component::Normal(name)) => {
                let entry = at.join(name);
                match entry.read_link() {
                    Ok(target) if links < MAX_LINKS => {
                        links += 1;
                        parts.extend(reversed(&target));
                        entries.push(entry);
                    }
                    _ => {
                        if parts.is_empty() {
                            entries.push(entry.clone());
                        }
                        at = entry;
                    }
                }
            }
            Some(Component::CurDir) | None => {}
            // The root, where an absolute link starts again.
            Some(Component::RootDir | Component::Prefix(_)) => at.push(part),
        }
    }
    entries
}

fn reversed(path: &Path) -> Vec<PathBuf> {
    path.components().rev().map(|component| PathBuf::from(component.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn every_link_on_the_way_is_an_entry_to_watch() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        std::fs::create_dir(base.join("..2026")).unwrap();
        std::fs::write(base.join("..2026/a.wasm"), "").unwrap();
        symlink("..2026", base.join("..data")).unwrap();
        symlink("..data/a.wasm", base.join("a.wasm")).unwrap();
        symlink(base.join("a.wasm"), base.join("absolute.wasm")).unwrap();
        let links = [base.join("a.wasm"), base.join("..data"), base.join("..2026/a.wasm")];
        assert_eq!(entries(&base.join("a.wasm")), links);
        assert_eq!(entries(&base.join("absolute.wasm")), [[base.join("absolute.wasm")].as_slice(), &links].concat());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_change_behind_a_link_wakes() {
        let directory = tempfile::tempdir().unwrap();
        let (link, file) = (directory.path().join("link.wasm"), directory.path().join("far/a.wasm"));
        std::fs::create_dir(directory.path().join("far")).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let (sender, signals) = std::sync::mpsc::channel();
        let mut watch = Watch::new(move || _ = sender.send(()));
        watch.follow(&link);
        std::fs::write(&file, "").unwrap();
        signals.recv_timeout(std::time::Duration::from_secs(10)).expect("a signal");
    }

    #[test]
    fn reading_is_no_change() {
        use notify::event::ModifyKind;
        assert!(!is_change(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!is_change(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(is_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(is_change(EventKind::Modify(ModifyKind::Any)));
    }

    #[test]
    #[cfg(unix)]
    fn links_in_a_circle_end() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("a", directory.path().join("a")).unwrap();
        assert!(entries(&directory.path().join("a")).len() <= MAX_LINKS + 2);
    }

    #[test]
    fn what_does_not_exist_is_an_entry_too() {
        assert_eq!(entries(Path::new("/none/such/a.wasm")), [Path::new("/none/such/a.wasm")]);
    }
}
