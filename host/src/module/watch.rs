//! Being told by the system when the directories that a path leads through change. A hint only: it may come late, twice or never.

mod shared;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Once;

use notify::EventKind;
use notify::event::{AccessKind, AccessMode};

use shared::{Names, Part};

/// As many symbolic links as Linux follows in one path.
const MAX_LINKS: usize = 40;

/// Watches the directory of a path, and the directory of every symbolic link on the way to the file.
///
/// So a Kubernetes volume is seen to change: there `module.wasm` is a link to `..data/module.wasm`, and `..data` a link that is
/// replaced.
pub(crate) struct Watch(Option<Part>);

impl Watch {
    /// A watch on nothing yet. `wake` is called from another thread whenever something may have changed.
    ///
    /// Where the system gives no watch (a limit on inotify instances) it says so once, and stays silent.
    pub(crate) fn new(wake: impl Fn() + Send + 'static) -> Self {
        static SAID: Once = Once::new();
        let none = |error: notify::Error| {
            SAID.call_once(|| tracing::warn!(%error, "file changes are looked for by polling only"));
        };
        Self(Part::new(Box::new(wake)).map_err(none).ok())
    }

    /// Watches what this path leads through now, and files beside it whose names begin alike, such as its signature. What
    /// cannot be watched is left to polling.
    pub(crate) fn follow(&mut self, path: &Path) {
        let mut wanted: BTreeMap<PathBuf, Names> = BTreeMap::new();
        for entry in entries(path) {
            if let (Some(directory), Some(name)) = (entry.parent(), entry.file_name()) {
                wanted.entry(directory.to_owned()).or_default().get_or_insert_default().push(name.to_owned());
            }
        }
        self.want(wanted);
    }

    /// Watches all that is in these directories, and nothing else any more. What cannot be watched is left to polling.
    pub(crate) fn follow_directories<'a>(&mut self, directories: impl IntoIterator<Item = &'a Path>) {
        let absolute = |directory| std::path::absolute(directory).ok();
        self.want(directories.into_iter().filter_map(absolute).map(|directory| (directory, None)).collect());
    }

    fn want(&mut self, wanted: BTreeMap<PathBuf, Names>) {
        if let Some(part) = &mut self.0 {
            part.want(wanted);
        }
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
    #[cfg(target_os = "linux")]
    fn many_watches_take_one_place_of_the_system_and_each_is_woken_by_its_own_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = |number: usize| directory.path().join(format!("{number:03}.wasm"));
        let (sender, signals) = std::sync::mpsc::channel();
        let mut watches: Vec<Watch> = (0..200)
            .map(|number| {
                let sender = sender.clone();
                let mut watch = Watch::new(move || _ = sender.send(number));
                watch.follow(&file(number));
                watch
            })
            .collect();
        let inotify =
            |entry: &std::fs::DirEntry| entry.path().read_link().is_ok_and(|to| to.ends_with("anon_inode:inotify"));
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().flatten().filter(inotify).count();
        // One that other tests have given up may be there for a moment.
        let begun = std::time::Instant::now();
        while open() != 1 {
            assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{} are open", open());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let woken = |by: &dyn Fn()| {
            by();
            let first = signals.recv_timeout(std::time::Duration::from_secs(10)).expect("a signal");
            while signals.recv_timeout(std::time::Duration::from_millis(200)).is_ok_and(|next| next == first) {}
            first
        };
        for number in [0, 77, 199] {
            assert_eq!(woken(&|| std::fs::write(file(number), "").unwrap()), number);
        }
        let signature = directory.path().join("042.wasm.minisig");
        assert_eq!(woken(&|| std::fs::write(&signature, "").unwrap()), 42);
        drop(watches.drain(..199));
        std::fs::write(file(3), "").unwrap();
        assert_eq!(woken(&|| std::fs::write(file(199), "").unwrap()), 199);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_directory_that_was_replaced_is_watched_anew() {
        let base = tempfile::tempdir().unwrap();
        let (directory, file) = (base.path().join("d"), base.path().join("d/a.wasm"));
        let (sender, signals) = std::sync::mpsc::channel();
        let mut watch = Watch::new(move || _ = sender.send(()));
        for _ in 0..3 {
            std::fs::create_dir(&directory).unwrap();
            watch.follow(&file);
            while signals.try_recv().is_ok() {}
            std::fs::write(&file, "").unwrap();
            signals.recv_timeout(std::time::Duration::from_secs(10)).expect("a signal");
            std::fs::remove_dir_all(&directory).unwrap();
            // The end of the directory is told, too.
            while signals.recv_timeout(std::time::Duration::from_millis(200)).is_ok() {}
        }
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
