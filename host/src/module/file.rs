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

use super::MAX_MODULE_BYTES;
use super::mailbox::Mailbox;
use super::source::Unavailable;
use super::stamp::Stamp;
use super::trust::{Distrust, MAX_SIGNATURE_BYTES, Trust, Trusted};
use super::watch::Watch;
use crate::files;

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

/// A signature that does not fit is waited for so long: somebody may be about to put the other half.
const SIGNED_WITHIN: Duration = Duration::from_secs(2);

/// How often it is looked at meanwhile.
const DOUBT_POLL: Duration = Duration::from_millis(300);

/// What a path leads to at one moment: a file, and the signature beside it where one is wanted and there.
type Look = Result<(Stamp, Option<Stamp>), Unavailable>;

/// What was found there.
enum Found {
    Module(Trusted),
    Distrusted(Distrust),
    None(Unavailable),
}

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

/// A file, and what makes it trusted.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    trust: Trust,
}

/// Starts to follow a file: puts its content, and each new one, into the mailbox.
///
/// It has a thread of its own, since a network file system may block for ever.
///
/// # Errors
/// The system gives no thread.
pub(super) fn follow(path: PathBuf, trust: Trust, mailbox: Arc<Mailbox>) -> io::Result<Follower> {
    // One waiting signal is as good as many.
    let (wake, signals) = sync_channel(1);
    let follower = Follower { stop: Arc::default(), wake: wake.clone() };
    let stop = Arc::clone(&follower.stop);
    let span = tracing::Span::current();
    thread::Builder::new().name("soloist-file".to_owned()).spawn(move || {
        let _entered = span.entered();
        let watch = Watch::new(move || _ = wake.try_send(()));
        run(&Place { path, trust }, watch, &signals, &stop, &mailbox);
    })?;
    Ok(follower)
}

fn run(place: &Place, mut watch: Watch, signals: &Receiver<()>, stop: &AtomicBool, mailbox: &Mailbox) {
    let mut known = None;
    let mut first = true;
    // Since when what stands there lacks a signature that fits.
    let mut doubt: Option<Instant> = None;
    while !stop.load(Ordering::Relaxed) {
        // Before the look: what changes after it wakes us.
        watch.follow(&place.path);
        let look = place.look();
        if known.as_ref().is_none_or(|known| *known != look) {
            let (found, settled) = place.find(look, first);
            if is_doubtful(&found, &mut doubt) {
                let _ = signals.recv_timeout(DOUBT_POLL);
                thread::sleep(PACE);
                continue;
            }
            match found {
                Found::Module(module) => mailbox.put(Ok(module)),
                Found::Distrusted(distrust) => mailbox.put_refused(distrust),
                Found::None(reason) => mailbox.put(Err(reason)),
            }
            known = settled;
            first = false;
        }
        let _ = signals.recv_timeout(POLL);
        thread::sleep(PACE);
    }
}

/// Whether to wait for another look before this is refused.
fn is_doubtful(found: &Found, doubt: &mut Option<Instant>) -> bool {
    match found {
        Found::Distrusted(distrust) if distrust.is_of_signature() => {
            doubt.get_or_insert_with(Instant::now).elapsed() < SIGNED_WITHIN
        }
        _ => {
            *doubt = None;
            false
        }
    }
}

/// Reads the file once, when it is quiet.
pub(super) async fn read_once(path: &Path, trust: &Trust) -> Result<Trusted, Unavailable> {
    let place = Place { path: path.to_owned(), trust: trust.clone() };
    let name = path.display().to_string();
    let task = tokio::task::spawn_blocking(move || {
        let mut doubt = None;
        loop {
            let found = place.find(place.look(), true).0;
            if !is_doubtful(&found, &mut doubt) {
                return found;
            }
            thread::sleep(DOUBT_POLL);
        }
    });
    match task.await.map_err(|error| Unavailable::Unreadable { path: name.clone(), reason: error.to_string() })? {
        Found::Module(module) => Ok(module),
        Found::Distrusted(distrust) => Err(Unavailable::Distrusted { place: name, distrust }),
        Found::None(reason) => Err(reason),
    }
}

impl Place {
    /// Where the signature is.
    fn signature(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".minisig");
        name.into()
    }

    fn look(&self) -> Look {
        let stamp = Stamp::take(&self.path).map_err(|error| unreadable(&self.path, &error))?;
        // One that cannot be looked at is as good as none: the module is refused then.
        let signature = self.trust.wants_signature().then(|| Stamp::take(&self.signature()).ok()).flatten();
        Ok((stamp, signature))
    }

    /// Waits until the path is quiet and reads it. Gives what it found, and the look that stands for it; none if the file was not
    /// quiet, so that it is looked at again.
    fn find(&self, look: Look, first: bool) -> (Found, Option<Look>) {
        let is_old = first && look.as_ref().is_ok_and(|(stamp, _)| stamp.age() >= Some(OLD));
        let (look, is_quiet) = if is_old { (look, true) } else { self.settle(look) };
        match &look {
            Err(error) => (Found::None(error.clone()), is_quiet.then_some(look)),
            Ok((stamp, signature)) => match read(&self.path, stamp) {
                Ok(bytes) => {
                    let signature = signature.as_ref().and_then(|stamp| read_signature(&stamp.path));
                    let found = match self.trust.check(bytes.into(), signature.as_slice()) {
                        Ok(module) => Found::Module(module),
                        Err(distrust) => Found::Distrusted(distrust),
                    };
                    (found, is_quiet.then_some(look))
                }
                // It stands as long as the file does: a file that is too large is not read again and again.
                Err(error @ Unavailable::TooLarge(_)) => (Found::None(error), Some(look)),
                Err(error) => (Found::None(error), None),
            },
        }
    }

    /// Looks until the path looked the same for [`QUIET`], or had long enough. Says which.
    fn settle(&self, mut before: Look) -> (Look, bool) {
        let start = Instant::now();
        loop {
            thread::sleep(QUIET);
            let now = self.look();
            if now == before {
                return (now, true);
            }
            let is_written = matches!((&now, &before), (Ok(now), Ok(before)) if !now.0.replaces(&before.0));
            if start.elapsed() >= if is_written { WRITTEN_FOR } else { REPLACED_FOR } {
                return (now, false);
            }
            before = now;
        }
    }
}

/// What stands in place of a signature; none where nothing can be read. What is too long is no signature.
fn read_signature(path: &Path) -> Option<String> {
    match files::read(path, MAX_SIGNATURE_BYTES) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Some(String::new()),
        Err(_) => None,
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Unavailable {
    let path = path.display().to_string();
    match error.kind() {
        io::ErrorKind::NotFound => Unavailable::Missing(path),
        _ => Unavailable::Unreadable { path, reason: error.to_string() },
    }
}

/// Reads the file that the stamp names, unless it changes meanwhile.
fn read(path: &Path, stamp: &Stamp) -> Result<Vec<u8>, Unavailable> {
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
    if is_same { Ok(bytes) } else { Err(Unavailable::Restless(path.display().to_string())) }
}
