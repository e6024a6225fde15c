//! The file that a zone is kept in: a snapshot and the changes since, each synced to the disk before it counts.
//!
//! The file is `soloist zone 1\n` and then entries. The first one is the snapshot, and every other one a change:
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | `SLJ` and the kind: `S` for the snapshot, `C` for a change |
//! | 4 | length of the payload |
//! | 8 | SHA-256 of the entry's offset in the file and the eight bytes before, cut |
//! | 16 | SHA-256 of the 16 bytes before and the payload, cut |
//! | | the payload |
//!
//! An entry that ends after the end of the file was being written when the process or the machine stopped, so nobody was
//! told that it is there: it is dropped. The head has a sum of its own, so a length is believed before its payload is
//! seen. Anything else that does not add up is damage, and no server starts on it.
//! A new snapshot is a new file, complete and synced before it takes the old one's name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ServeError;

const FILE: &str = "zone.journal";
const NEW_FILE: &str = "zone.journal.new";
const MAGIC: &[u8] = b"soloist zone 1\n";
const HEAD: usize = 32;

/// The largest change that is written, in bytes of payload.
pub(super) const MAX_CHANGE_BYTES: usize = 4 * 1024 * 1024;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Snapshot,
    Change,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Snapshot => b'S',
            Self::Change => b'C',
        }
    }
}

/// An open journal, at its end.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    file: File,
    /// Where the next entry goes: all before is on the disk.
    end: u64,
    /// Where the snapshot ends.
    base: u64,
    /// What is on the disk is not known any more: nothing is written again.
    broken: bool,
}

/// A device or a pipe may never end.
fn odd_file() -> io::Error {
    io::Error::other("it is no regular file")
}

impl Journal {
    /// Reads the journal of a directory, entry by entry; none if there is none.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or `each` refuses an entry with a reason.
    pub(super) fn open(
        dir: &Path,
        mut each: impl FnMut(Kind, &[u8]) -> Result<(), String>,
    ) -> Result<Option<Self>, ServeError> {
        let path = dir.join(FILE);
        let bytes =
            match fs::metadata(&path).and_then(|file| if file.is_file() { fs::read(&path) } else { Err(odd_file()) }) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(ServeError::data("read", &path, error)),
            };
        let damage = |offset: usize, reason: String| ServeError::Damaged { path: path.clone(), offset, reason };
        if !bytes.starts_with(MAGIC) {
            return Err(damage(0, "it does not begin as a zone's journal".to_owned()));
        }
        let (mut end, mut base) = (MAGIC.len(), 0);
        loop {
            match read_entry(&bytes, end).map_err(|reason| damage(end, reason.to_owned()))? {
                Read::Entry(kind, payload) => {
                    // The one snapshot comes first.
                    if (kind == Kind::Snapshot) != (base == 0) {
                        return Err(damage(end, "an entry stands where it cannot".to_owned()));
                    }
                    each(kind, payload).map_err(|reason| damage(end, reason))?;
                    end += HEAD + payload.len();
                    if base == 0 {
                        base = end;
                    }
                }
                // The snapshot was complete before the file got its name.
                Read::Torn | Read::End if base == 0 => return Err(damage(end, "the snapshot is cut short".to_owned())),
                Read::Torn | Read::End => break,
            }
        }
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|error| ServeError::data("open", &path, error))?;
        if end < bytes.len() {
            tracing::warn!(path = %path.display(), bytes = bytes.len() - end, "dropped an update that was never acknowledged");
            file.set_len(end as u64).map_err(|error| ServeError::data("cut", &path, error))?;
        }
        // The last entry may be whole and only in memory, if the process was killed before it synced it: what is served from
        // here on must not be lost with the machine.
        file.sync_all().map_err(|error| ServeError::data("sync", &path, error))?;
        Ok(Some(Self { dir: dir.to_owned(), file, end: end as u64, base: base as u64, broken: false }))
    }

    /// Starts the journal of a directory that has none, with this snapshot.
    pub(super) fn create(dir: &Path, snapshot: &[u8]) -> io::Result<Self> {
        let (file, end) = write_new(dir, snapshot)?;
        fs::rename(dir.join(NEW_FILE), dir.join(FILE))?;
        sync_dir(dir)?;
        Ok(Self { dir: dir.to_owned(), file, end, base: end, broken: false })
    }

    /// Writes a change and syncs it: when this returns, the change outlives any crash.
    ///
    /// # Errors
    /// Nothing is written then; the file is as it was. If not even that can be had, every later call fails too.
    pub(super) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier failure left the journal in doubt; restart the server"));
        }
        let entry = frame(self.end, Kind::Change, payload);
        let written = self.write_at_end(&entry);
        if written.is_err() {
            // What was half written must not come back after a crash: its sender is told that it failed.
            let back = self.file.set_len(self.end).and_then(|()| self.file.sync_all());
            self.broken = back.is_err();
            return written;
        }
        self.end += entry.len() as u64;
        Ok(())
    }

    fn write_at_end(&mut self, entry: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(entry)?;
        self.file.sync_data()
    }

    /// The bytes that were written since the snapshot.
    pub(super) const fn grown(&self) -> u64 {
        self.end - self.base
    }

    /// The bytes of the snapshot.
    pub(super) const fn snapshot_len(&self) -> u64 {
        self.base
    }

    /// Puts this snapshot in place of all that was written.
    ///
    /// # Errors
    /// The journal is as it was and goes on; if that cannot be known, it takes no more changes.
    pub(super) fn compact(&mut self, snapshot: &[u8]) -> io::Result<()> {
        let new = write_new(&self.dir, snapshot)
            .and_then(|new| fs::rename(self.dir.join(NEW_FILE), self.dir.join(FILE)).map(|()| new));
        let (file, end) = match new {
            Ok(new) => new,
            Err(error) => {
                let _ = fs::remove_file(self.dir.join(NEW_FILE));
                return Err(error);
            }
        };
        (self.file, self.end, self.base) = (file, end, end);
        // Until the directory is synced a crash may bring the old file back, without what would be written from here on.
        let synced = sync_dir(&self.dir);
        self.broken = synced.is_err();
        synced
    }
}

fn write_new(dir: &Path, snapshot: &[u8]) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(dir.join(NEW_FILE))?;
    let entry = frame(MAGIC.len() as u64, Kind::Snapshot, snapshot);
    file.write_all(MAGIC)?;
    file.write_all(&entry)?;
    file.sync_all()?;
    Ok((file, (MAGIC.len() + entry.len()) as u64))
}

/// Makes the names in a directory outlive a crash.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn frame(offset: u64, kind: Kind, payload: &[u8]) -> Vec<u8> {
    // Payloads are bounded far below: a change by MAX_CHANGE_BYTES, a snapshot by the limits of a zone.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut entry = Vec::with_capacity(HEAD + payload.len());
    entry.extend(b"SLJ");
    entry.push(kind.code());
    entry.extend(length.to_be_bytes());
    let head = head_sum(offset, &entry);
    entry.extend(head);
    let body = body_sum(&entry, payload);
    entry.extend(body);
    entry.extend(payload);
    entry
}

fn head_sum(offset: u64, start: &[u8]) -> [u8; 8] {
    let sum: [u8; 32] = Sha256::new().chain_update(offset.to_be_bytes()).chain_update(start).finalize().into();
    std::array::from_fn(|i| sum[i])
}

fn body_sum(head: &[u8], payload: &[u8]) -> [u8; 16] {
    let sum: [u8; 32] = Sha256::new().chain_update(head).chain_update(payload).finalize().into();
    std::array::from_fn(|i| sum[i])
}

enum Read<'b> {
    Entry(Kind, &'b [u8]),
    /// The file ends here.
    End,
    /// The file ends inside the entry.
    Torn,
}

fn read_entry(bytes: &[u8], offset: usize) -> Result<Read<'_>, &'static str> {
    let rest = &bytes[offset..];
    if rest.is_empty() {
        return Ok(Read::End);
    }
    // After a power failure, some file systems leave zeros where a write was on its way.
    if rest.len() < HEAD || rest.iter().all(|byte| *byte == 0) {
        return Ok(Read::Torn);
    }
    let (head, payload) = rest.split_at(HEAD);
    if head[8..16] != head_sum(offset as u64, &head[..8]) {
        return Err("the head of an entry does not match its sum");
    }
    let kind = match &head[..4] {
        b"SLJS" => Kind::Snapshot,
        b"SLJC" => Kind::Change,
        _ => return Err("an entry is of an unknown kind"),
    };
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let Some(payload) = payload.get(..length) else { return Ok(Read::Torn) };
    if head[16..] != body_sum(&head[..16], payload) {
        return Err("an entry does not match its sum");
    }
    Ok(Read::Entry(kind, payload))
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
