//! Writes a new key to a file that its owner alone can read: whole or not at all, and never over another.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;

use super::output::WithHint as _;

/// Writes a key and a line's end.
///
/// # Errors
/// The file is there already, or cannot be written.
pub(super) fn write(path: &Path, key: &str) -> anyhow::Result<()> {
    write_new(path, key).with_context(|| format!("cannot write the key to `{}`", path.display())).or_else(|error| {
        let taken = error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::AlreadyExists);
        let hint = if taken {
            "a key is never overwritten: name another file, or remove this one when nothing uses it"
        } else {
            "the file's directory must exist and be writable"
        };
        Err(error).hint(hint)
    })
}

fn write_new(path: &Path, key: &str) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = writeln!(file, "{key}").and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key would only be refused, and stand in the way of a whole one.
        let _ = std::fs::remove_file(path);
    }
    written
}
