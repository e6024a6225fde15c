//! The key of a store, and the MACs that tell what was written here from all else.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use bytes::Bytes;
use ring::hmac;

use super::entry::Context;
use crate::files;

/// Bytes of the key, and of a MAC.
const LENGTH: usize = 32;

/// The first bytes of every sealed entry: a change of its format makes the old ones void.
const MAGIC: &[u8] = b"soloist store 1\n";

/// The key of a store (HMAC-SHA256, RFC 2104). It has no text.
pub(super) struct Key(hmac::Key);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// The key of the store in this folder, made at random where there is none that is for this user alone.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let path = root.join("key");
        // Twice: another process may make one at the same time, and then its key is taken.
        for _ in 0..2 {
            match read(&path)? {
                Some(key) => return Ok(key),
                None => make(root, &path)?,
            }
        }
        Err(io::Error::other(format!("the key `{}` cannot be read back", path.display())))
    }

    /// What goes before an entry of these parts.
    pub(super) fn seal(&self, context: Context<'_>, parts: &[&[u8]]) -> Vec<u8> {
        let mut mac = self.begin(context);
        for part in parts {
            mac.update(part);
        }
        // Twice, so that ring's own comparison can be used for what comes in parts. The second is of 32 bytes, the first of more.
        [MAGIC, hmac::sign(&self.0, mac.sign().as_ref()).as_ref()].concat()
    }

    /// What was sealed for this context; none where it was not, or not by us.
    pub(super) fn open_sealed(&self, context: Context<'_>, sealed: &Bytes) -> Option<Bytes> {
        let mac = sealed.strip_prefix(MAGIC)?.get(..LENGTH)?;
        let payload = sealed.slice(MAGIC.len() + LENGTH..);
        let mut expected = self.begin(context);
        expected.update(&payload);
        hmac::verify(&self.0, expected.sign().as_ref(), mac).is_ok().then_some(payload)
    }

    fn begin(&self, context: Context<'_>) -> hmac::Context {
        let mut mac = hmac::Context::with_key(&self.0);
        // Each field with its length, so that no two contexts read the same.
        let mut field = |bytes: &[u8]| {
            mac.update(&(bytes.len() as u64).to_be_bytes());
            mac.update(bytes);
        };
        match context {
            Context::Compiled { digest, target } => {
                field(b"compiled");
                field(digest.as_bytes());
                field(target.as_bytes());
            }
            Context::Last { name } => {
                field(b"last");
                field(name.as_bytes());
            }
        }
        mac
    }
}

/// Reads the key; none where there is none, or one that others may have read: that one is removed.
fn read(path: &Path) -> io::Result<Option<Key>> {
    let bytes = match files::read(path, LENGTH as u64) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Vec::new(),
        Err(error) => return Err(error),
    };
    if bytes.len() == LENGTH && is_private(path)? {
        return Ok(Some(Key(hmac::Key::new(hmac::HMAC_SHA256, &bytes))));
    }
    tracing::warn!(
        event = "store",
        "the key `{}` is damaged, or not for this user alone: a new one is made, and modules are compiled anew",
        path.display()
    );
    fs::remove_file(path)?;
    Ok(None)
}

#[cfg(unix)]
pub(super) fn is_private(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let found = fs::metadata(path)?;
    Ok(found.permissions().mode().trailing_zeros() >= 6 && found.uid() == rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
pub(super) fn is_private(_: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Makes a key, unless another process does at the same time.
fn make(root: &Path, path: &Path) -> io::Result<()> {
    // Written whole, and for this user alone, before it has its name.
    let mut file = tempfile::NamedTempFile::new_in(root.join("tmp"))?;
    file.write_all(&rand::random::<[u8; LENGTH]>())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}
