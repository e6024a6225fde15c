//! The zone and its journal together: an update is checked, written to the disk and made as one step, one at a time.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{LowerName, Record};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use super::journal::{self, Journal, Kind, MAX_CHANGE_BYTES};
use super::update::{self, Refusal};
use super::wire;
use super::zone::{Change, Zone};
use super::{MAX_WAITING_UPDATES, ServeError};

const LOCK_FILE: &str = "lock";

/// How many answers are remembered, for the clients that send an update twice.
const REMEMBERED: usize = 1024;

/// What is asked of the zone: the sections of a signed request.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) prerequisites: Vec<Record>,
    pub(super) updates: Vec<Record>,
    /// Who sent it, and the MAC over it, where it came in a way that clients resend on (UDP).
    pub(super) resendable: Option<(IpAddr, Vec<u8>)>,
}

/// A zone on the disk and in memory.
#[derive(Debug)]
pub(super) struct Store {
    zone: RwLock<Zone>,
    /// Held over the whole of an update. None once the store is closed.
    writer: Arc<Mutex<Option<Writer>>>,
    waiting: Arc<Semaphore>,
}

#[derive(Debug)]
struct Writer {
    journal: Journal,
    compact_at: u64,
    answered: Answered,
    /// Keeps a second server off the directory for as long as it is open.
    _lock: File,
}

impl Store {
    /// Opens the zone that a directory holds, or makes one there of what `fresh` gives.
    /// The journal is compacted when it has grown by `compact_at` bytes and by half of its snapshot.
    ///
    /// # Errors
    /// The directory cannot be used, is in use, or holds a damaged journal or another zone.
    pub(super) fn open(
        dir: &Path,
        origin: &LowerName,
        compact_at: u64,
        fresh: impl FnOnce() -> Vec<Change>,
    ) -> Result<Self, ServeError> {
        fs::create_dir_all(dir).map_err(|error| ServeError::data("create", dir, error))?;
        let lock = lock(dir)?;
        let mut zone = Zone::new(origin.clone());
        let mut other = None;
        let opened = Journal::open(dir, |kind, payload| {
            let mut rest = payload;
            if kind == Kind::Snapshot {
                let found = wire::take_short(&mut rest).and_then(wire::decode_name);
                let found = found.ok_or("the snapshot names no zone")?;
                if found != *origin {
                    other = Some(found);
                    return Err("another zone".to_owned());
                }
            }
            zone.apply(wire::decode_changes(rest)?);
            Ok(())
        });
        if let Some(found) = other {
            let (found, wanted) = (found.to_string(), origin.to_string());
            return Err(ServeError::OtherZone { path: dir.to_owned(), found, wanted });
        }
        let opened = opened?;
        let journal = if let Some(journal) = opened {
            journal
        } else {
            zone.apply(fresh());
            let snapshot = snapshot(&zone).ok_or_else(|| ServeError::Zone(origin.to_string()))?;
            Journal::create(dir, &snapshot).map_err(|error| ServeError::data("write to", dir, error))?
        };
        if zone.soa().is_none() {
            let reason = "the zone in it has no SOA".to_owned();
            return Err(ServeError::Damaged { path: dir.to_owned(), offset: 0, reason });
        }
        let writer = Writer { journal, compact_at, answered: Answered::default(), _lock: lock };
        Ok(Self {
            zone: RwLock::new(zone),
            writer: Arc::new(Mutex::new(Some(writer))),
            waiting: Arc::new(Semaphore::new(MAX_WAITING_UPDATES)),
        })
    }

    /// The zone as it is now: what it shows is on the disk. Not to be held over an `await`.
    pub(super) fn zone(&self) -> RwLockReadGuard<'_, Zone> {
        self.zone.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an update, or refuses it with a code. [`ResponseCode::NoError`] means that it is on the disk.
    pub(super) async fn update(self: &Arc<Self>, update: Update) -> ResponseCode {
        let Ok(permit) = Arc::clone(&self.waiting).try_acquire_owned() else {
            tracing::warn!("too many updates are waiting");
            return ResponseCode::ServFail;
        };
        let writer = Arc::clone(&self.writer).lock_owned().await;
        let store = Arc::clone(self);
        // From here on nothing stops half way: a blocking task runs to its end even if nobody waits for it.
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            store.commit(writer, &update)
        });
        done.await.unwrap_or(ResponseCode::ServFail)
    }

    fn commit(&self, mut guard: OwnedMutexGuard<Option<Writer>>, update: &Update) -> ResponseCode {
        let Some(writer) = guard.as_mut() else { return ResponseCode::ServFail };
        if let Some(code) = update.resendable.as_ref().and_then(|sent| writer.answered.code(sent)) {
            return code;
        }
        let code = self.make(writer, update);
        // A failure may be over when it is sent again; every other answer stands.
        if let Some(sent) = update.resendable.as_ref().filter(|_| code != ResponseCode::ServFail) {
            writer.answered.remember(sent.clone(), code);
        }
        code
    }

    fn make(&self, writer: &mut Writer, update: &Update) -> ResponseCode {
        let evaluated = update::evaluate(&self.zone(), &update.prerequisites, &update.updates);
        let changes = match evaluated {
            Ok(changes) => changes,
            Err(Refusal { code, reason }) => {
                tracing::debug!(%code, reason, "update refused");
                return code;
            }
        };
        if changes.is_empty() {
            return ResponseCode::NoError;
        }
        let Some(payload) = wire::encode_changes(&changes).filter(|payload| payload.len() <= MAX_CHANGE_BYTES) else {
            tracing::warn!(limit = MAX_CHANGE_BYTES, "update refused: it changes more than one update may");
            return ResponseCode::Refused;
        };
        if let Err(error) = writer.journal.append(&payload) {
            tracing::error!(%error, "update refused: it cannot be written to the disk");
            return ResponseCode::ServFail;
        }
        self.zone.write().unwrap_or_else(PoisonError::into_inner).apply(changes);
        self.compact(writer);
        ResponseCode::NoError
    }

    fn compact(&self, writer: &mut Writer) {
        let journal = &mut writer.journal;
        if journal.grown() < writer.compact_at.max(journal.snapshot_len() / 2) {
            return;
        }
        let done = snapshot(&self.zone()).ok_or_else(|| std::io::Error::other("the zone cannot be encoded"));
        match done.and_then(|snapshot| journal.compact(&snapshot)) {
            Ok(()) => tracing::debug!(bytes = journal.snapshot_len(), "journal compacted"),
            Err(error) => {
                // Tried again when the journal has grown as much again, not at every update.
                writer.compact_at = journal.grown() * 2;
                tracing::warn!(%error, "the journal cannot be compacted and goes on growing");
            }
        }
    }

    /// Waits for the update under way and gives the directory free. Updates are answered SERVFAIL from here on.
    pub(super) async fn close(&self) {
        self.writer.lock().await.take();
    }
}

fn snapshot(zone: &Zone) -> Option<Vec<u8>> {
    let mut payload = Vec::new();
    wire::put_short(&mut payload, &wire::encode_name(zone.origin())?)?;
    payload.extend(wire::encode_changes(&zone.contents())?);
    Some(payload)
}

fn lock(dir: &Path) -> Result<File, ServeError> {
    let path = dir.join(LOCK_FILE);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| ServeError::data("open", &path, error))?;
    match file.try_lock() {
        Ok(()) => {
            journal::sync_dir(dir).map_err(|error| ServeError::data("sync", dir, error))?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(ServeError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(ServeError::data("lock", &path, error)),
    }
}

/// The latest answers, by sender and MAC. A client that saw no answer sends the same bytes again; evaluated again, its
/// own first copy would make it a loser, or a late copy would win a race that its sender believes lost.
#[derive(Debug, Default)]
struct Answered {
    codes: HashMap<(IpAddr, Vec<u8>), ResponseCode>,
    order: VecDeque<(IpAddr, Vec<u8>)>,
}

impl Answered {
    fn code(&self, sent: &(IpAddr, Vec<u8>)) -> Option<ResponseCode> {
        self.codes.get(sent).copied()
    }

    fn remember(&mut self, sent: (IpAddr, Vec<u8>), code: ResponseCode) {
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.codes.remove(&oldest);
        }
        self.codes.insert(sent.clone(), code);
        self.order.push_back(sent);
    }
}
