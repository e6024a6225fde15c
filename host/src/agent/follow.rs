//! Tells when the configuration's file changed: after a rename over it, a write in place or a flipped symbolic link (a Kubernetes
//! volume), and when the change is over. What the file then says is not looked at here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::module::{Stamp, Watch};

/// A change is over when the file looked the same for so long.
const QUIET: Duration = Duration::from_millis(250);

/// A file that goes on changing is read after so long nevertheless.
const RESTLESS: Duration = Duration::from_secs(10);

/// How often the file is looked at where no event says that it changed.
const POLL: Duration = Duration::from_secs(2);

/// The least time between two looks, however many events a busy directory makes.
const PACE: Duration = Duration::from_millis(20);

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

/// Starts to follow a file, and notifies of each of its states, the first one included. It has a thread of its own, since a network
/// file system may block for ever.
///
/// # Errors
/// The system gives no thread.
pub(super) fn follow(path: PathBuf, changed: Arc<Notify>) -> io::Result<Follower> {
    // One waiting signal is as good as many.
    let (wake, signals) = sync_channel(1);
    let follower = Follower { stop: Arc::default(), wake: wake.clone() };
    let stop = Arc::clone(&follower.stop);
    thread::Builder::new().name("soloist-config".to_owned()).spawn(move || {
        let watch = Watch::new(move || _ = wake.try_send(()));
        run(&path, watch, &signals, &stop, &changed);
    })?;
    Ok(follower)
}

/// What a path leads to; none where nobody can tell.
fn look(path: &Path) -> Option<Stamp> {
    Stamp::take(path).ok()
}

fn run(path: &Path, mut watch: Watch, signals: &Receiver<()>, stop: &AtomicBool, changed: &Notify) {
    let mut known = None;
    while !stop.load(Ordering::Relaxed) {
        // Before the look: what changes after it wakes us.
        watch.follow(path);
        let now = look(path);
        // A file that is gone for a moment is being replaced; one that stays away is not what anybody runs by.
        if now.is_some() && now != known {
            known = settled(path, now);
            changed.notify_one();
        }
        let _ = signals.recv_timeout(POLL);
        thread::sleep(PACE);
    }
}

/// Looks until the path looked the same for [`QUIET`], or had long enough.
fn settled(path: &Path, mut before: Option<Stamp>) -> Option<Stamp> {
    let begun = Instant::now();
    loop {
        thread::sleep(QUIET);
        let now = look(path);
        if now == before || begun.elapsed() >= RESTLESS {
            return now;
        }
        before = now;
    }
}
