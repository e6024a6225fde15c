//! Files of the store: written whole or not at all, for this user alone.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

use super::Digest;
use crate::files;

/// What an entry is, as it goes into its MAC: an entry that is moved to another place does not fit there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Context<'a> {
    /// Machine code.
    Compiled { digest: &'a Digest, target: &'a str },
    /// The last good module of a job.
    Last { name: &'a str },
}

/// Makes a folder that is for this user alone.
///
/// # Errors
/// It cannot be made, or belongs to somebody else, who could have put anything there.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let found = fs::metadata(path)?;
        if found.uid() != rustix::process::geteuid().as_raw() {
            let problem = format!("`{}` belongs to another user", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
        }
        if found.permissions().mode() & 0o777 != 0o700 {
            fs::set_permissions(path, Permissions::from_mode(0o700))?;
        }
    }
    #[cfg(not(unix))]
    let _: Option<Permissions> = None;
    Ok(())
}

/// The bytes of a file; none where there is no such file.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    match files::read(path, most) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file as these parts, one after the other. A crash at any time leaves the old file or the new one.
pub(super) fn write(root: &Path, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    // In the same file system, and mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(root.join("tmp"))?;
    for part in parts {
        file.write_all(part)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    if let Some(folder) = path.parent() {
        // Where folders cannot be synced, the entry may be gone after a power failure: it is then made anew.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

/// Notes when a file was used, for eviction. Where that does not work, an entry goes by when it was written.
pub(super) fn touch(path: &Path, when: SystemTime) {
    let _ = File::open(path).and_then(|file| file.set_modified(when));
}

/// Whether this open file is what stands at the path.
pub(super) fn is_same(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let identity = |found: fs::Metadata| (found.dev(), found.ino());
        match (file.metadata(), fs::metadata(path)) {
            (Ok(open), Ok(there)) => identity(open) == identity(there),
            _ => false,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}
