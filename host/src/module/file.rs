//! Following a file: each way to change it (a rename over it, truncating and writing, a flipped symbolic link) is found once,
//! when it is over.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::MAX_MODULE_BYTES;
use super::slot::Mailbox;
use super::source::Unavailable;
use super::stamp::Stamp;
use super::watch::Watch;

/// A change is over when the file looked the same for so long.
const QUIET: Duration = Duration::from_millis(100);

/// A file that is replaced again and again is taken as it is after so long: each replacement is complete.
const REPLACED_FOR: Duration = Duration::from_secs(2);

/// A file that is written in place is waited for so long (a copy over a slow network), since half of it is no module.
const WRITTEN_FOR: Duration = Duration::from_secs(30);

/// How often the file is looked at where no event says that it changed: network file systems, no inotify watch left.
const POLL: Duration = Duration::from_secs(2);

/// The least time between two looks, however many events a busy directory makes.
const PACE: Duration = Duration::from_millis(20);

/// A file last written longer ago than this is not being written: no need to watch it be quiet first.
const OLD: Duration = Duration::from_secs(1);

/// What a path leads to at one moment.
type Look = Result<Stamp, Unavailable>;

/// A thread that follows a file; it ends when this is dropped.
pub(super) struct Follower {
    stop: Arc<AtomicBool>,
    wake: SyncSender<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A full channel wakes it as well.
        let _ = self.wake.try_send(());
    }
}

/// Starts to follow a file: puts its content, and each new one, into the mailbox.
///
/// It has a thread of its own, since a network file system may block for ever.
///
/// # Errors
/// The system gives no thread.
pub(super) fn follow(path: PathBuf, mailbox: Arc<Mailbox>) -> io::Result<Follower> {
    // One waiting signal is as good as many.
    let (wake, signals) = sync_channel(1);
    let follower = Follower { stop: Arc::default(), wake: wake.clone() };
    let stop = Arc::clone(&follower.stop);
    let span = tracing::Span::current();
    thread::Builder::new().name("soloist-file".to_owned()).spawn(move || {
        let _entered = span.entered();
        let watch = Watch::new(move || _ = wake.try_send(()));
        run(&path, watch, &signals, &stop, &mailbox);
    })?;
    Ok(follower)
}

fn run(path: &Path, mut watch: Watch, signals: &Receiver<()>, stop: &AtomicBool, mailbox: &Mailbox) {
    let mut known = None;
    let mut first = true;
    while !stop.load(Ordering::Relaxed) {
        // Before the look: what changes after it wakes us.
        watch.follow(path);
        let look = look(path);
        if known.as_ref().is_none_or(|known| *known != look) {
            let (found, settled) = find(path, look, first);
            mailbox.put(found);
            known = settled;
            first = false;
        }
        let _ = signals.recv_timeout(POLL);
        thread::sleep(PACE);
    }
}

/// Reads the file once, when it is quiet.
pub(super) async fn read_once(path: &Path) -> Result<Bytes, Unavailable> {
    let path = path.to_owned();
    let name = path.display().to_string();
    let task = tokio::task::spawn_blocking(move || find(&path, look(&path), true).0);
    task.await.map_err(|error| Unavailable::Unreadable { path: name, reason: error.to_string() })?
}

fn look(path: &Path) -> Look {
    Stamp::take(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Unavailable {
    let path = path.display().to_string();
    match error.kind() {
        io::ErrorKind::NotFound => Unavailable::Missing(path),
        _ => Unavailable::Unreadable { path, reason: error.to_string() },
    }
}

/// Waits until the path is quiet and reads it. Gives what it found, and the look that stands for it; none if the file was not
/// quiet, so that it is looked at again.
fn find(path: &Path, look: Look, first: bool) -> (Result<Bytes, Unavailable>, Option<Look>) {
    let is_old = first && look.as_ref().is_ok_and(|stamp| stamp.age() >= Some(OLD));
    let (look, is_quiet) = if is_old { (look, true) } else { settle(path, look) };
    match &look {
        Err(error) => (Err(error.clone()), is_quiet.then_some(look)),
        Ok(stamp) => match read(path, stamp) {
            Ok(bytes) => (Ok(bytes), is_quiet.then_some(look)),
            // It stands as long as the file does: a file that is too large is not read again and again.
            Err(error @ Unavailable::TooLarge(_)) => (Err(error), Some(look)),
            Err(error) => (Err(error), None),
        },
    }
}

/// Looks until the path looked the same for [`QUIET`], or had long enough. Says which.
fn settle(path: &Path, mut before: Look) -> (Look, bool) {
    let start = Instant::now();
    loop {
        thread::sleep(QUIET);
        let now = look(path);
        if now == before {
            return (now, true);
        }
        let is_written = matches!((&now, &before), (Ok(now), Ok(before)) if !now.replaces(before));
        if start.elapsed() >= if is_written { WRITTEN_FOR } else { REPLACED_FOR } {
            return (now, false);
        }
        before = now;
    }
}

/// Reads the file that the stamp names, unless it changes meanwhile.
fn read(path: &Path, stamp: &Stamp) -> Result<Bytes, Unavailable> {
    let too_large = || Unavailable::TooLarge(path.display().to_string());
    if stamp.size > MAX_MODULE_BYTES {
        return Err(too_large());
    }
    let read = || {
        let mut file = File::open(&stamp.path)?;
        let before = file.metadata()?;
        let mut bytes = Vec::with_capacity(usize::try_from(stamp.size).unwrap_or(0));
        io::Read::by_ref(&mut file).take(MAX_MODULE_BYTES + 1).read_to_end(&mut bytes)?;
        let after = file.metadata()?;
        // Of this open file: that another one stands at the path by now takes nothing from what was read.
        let is_same = before.len() == after.len()
            && after.len() == bytes.len() as u64
            && before.modified().ok() == after.modified().ok();
        Ok((bytes, is_same))
    };
    let (bytes, is_same) = read().map_err(|error: io::Error| unreadable(path, &error))?;
    if bytes.len() as u64 > MAX_MODULE_BYTES {
        return Err(too_large());
    }
    if is_same { Ok(bytes.into()) } else { Err(Unavailable::Restless(path.display().to_string())) }
}
