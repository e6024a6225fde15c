//! Eviction: what was used least lately goes first, and never what is in use.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::entry;

/// A file that was begun and not finished for so long is left over from a process that ended.
const LEFT_OVER: Duration = Duration::from_hours(1);

/// The most jobs whose last good module is remembered: the oldest go first.
pub(super) const MAX_LAST: usize = 4096;

/// Digits of a digest, with which the names of all entries of a module begin.
const DIGITS: usize = 64;

/// An entry that may be removed.
struct Entry {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

/// Removes entries until the rest is no larger than `size`. What is in use stays, and may be more than that.
pub(super) fn evict(root: &Path, size: u64) -> io::Result<()> {
    let mut entries = list(&root.join("modules"))?;
    entries.extend(list(&root.join("compiled"))?);
    let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
    if total > size {
        entries.sort_by_key(|entry| entry.used);
        for entry in entries {
            if total <= size {
                break;
            }
            if remove(root, &entry.path) {
                tracing::debug!(event = "store", "`{}` is evicted from the store", entry.path.display());
                total -= entry.size;
            }
        }
    }
    let mut jobs = list(&root.join("last"))?;
    if jobs.len() > MAX_LAST {
        jobs.sort_by_key(|entry| entry.used);
        jobs.iter().take(jobs.len() - MAX_LAST).for_each(|entry| _ = fs::remove_file(&entry.path));
    }
    Ok(())
}

/// Removes an entry, unless its module is in use by any process.
fn remove(root: &Path, path: &Path) -> bool {
    let digest = path.file_name().and_then(OsStr::to_str).and_then(|name| name.get(..DIGITS)).unwrap_or_default();
    let place = root.join("modules").join(format!("{digest}.wasm"));
    let module = File::open(&place);
    if module.as_ref().is_ok_and(|module| !is_free(module, &place)) {
        return false;
    }
    // The lock is held meanwhile: who opened the module before finds it removed when it gets its own lock.
    fs::remove_file(path).is_ok()
}

/// Locks a module that was opened; false where it is in use, or is not what stands there any more: that one may be in use.
pub(super) fn is_free(module: &File, place: &Path) -> bool {
    !matches!(module.try_lock(), Err(TryLockError::WouldBlock)) && entry::is_same(module, place)
}

fn list(folder: &Path) -> io::Result<Vec<Entry>> {
    let entry = |entry: DirEntry| {
        // Gone by now, which is as well.
        let data = entry.metadata().ok()?;
        Some(Entry { path: entry.path(), size: data.len(), used: data.modified().unwrap_or(SystemTime::UNIX_EPOCH) })
    };
    fs::read_dir(folder)?.filter_map(|found| found.map(entry).transpose()).collect()
}

/// Removes files that were begun by processes that ended before they were finished.
pub(super) fn remove_leftovers(folder: &Path) {
    let is_old = |entry: &Entry| entry.used.elapsed().is_ok_and(|age| age > LEFT_OVER);
    for entry in list(folder).unwrap_or_default().iter().filter(|entry| is_old(entry)) {
        let _ = fs::remove_file(&entry.path);
    }
}
