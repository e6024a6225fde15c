//! What tells one state of a file from another without reading it.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file's identity and state: two equal stamps, the later one taken well after the last change, mean the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Where the path leads, through all symbolic links.
    pub(super) path: PathBuf,
    /// Device and inode; zeros where there is no such thing.
    pub(super) inode: (u64, u64),
    /// Bytes.
    pub(super) size: u64,
    modified: Option<SystemTime>,
    /// Seconds and nanoseconds of the inode's last change: set by the system alone, so it tells a write from one whose times were
    /// set back (`cp -p`, `tar`).
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of what this path leads to.
    ///
    /// # Errors
    /// It leads nowhere, or to what is no regular file: opening a pipe would wait forever.
    pub(crate) fn take(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let data = path.metadata()?;
        if !data.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        let (inode, changed) = identity(&data);
        Ok(Self { path, inode, size: data.len(), modified: data.modified().ok(), changed })
    }

    /// How long ago the file was last written, by this machine's clock; none where nobody knows.
    pub(super) fn age(&self) -> Option<Duration> {
        self.modified?.elapsed().ok()
    }

    /// Whether this is another file than that, rather than another state of the same.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        self.path != other.path || self.inode != other.inode
    }
}

#[cfg(unix)]
fn identity(data: &Metadata) -> ((u64, u64), (i64, i64)) {
    use std::os::unix::fs::MetadataExt;
    ((data.dev(), data.ino()), (data.ctime(), data.ctime_nsec()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> ((u64, u64), (i64, i64)) {
    ((0, 0), (0, 0))
}
