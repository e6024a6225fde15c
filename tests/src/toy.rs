//! A loader of toy modules, for tests of how modules are swapped: a module is a text, and one that starts with `bad` is refused.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use soloist::module::{Access, Keep, LoadError, Loader, Origin, Slot, Source, Trust, Trusted};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a toy loader was asked to load. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Toy {
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log {
    texts: Mutex<Vec<String>>,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Toy {
    /// The loader. It takes the time that a text with `slow` in it asks for: 50 ms.
    ///
    /// # Panics
    /// For a text with `panic` in it, as loaders may.
    pub fn loader(&self) -> Loader<String> {
        let log = Arc::clone(&self.log);
        Arc::new(move |module: Trusted| log.load(module.bytes()))
    }

    /// Starts a slot of toys.
    pub fn slot(&self, source: &str) -> Slot<String> {
        self.keeping(source, None)
    }

    /// The same, with what it keeps.
    pub fn keeping(&self, source: &str, keep: Option<Keep>) -> Slot<String> {
        Slot::start(origin(source), self.loader(), keep)
    }

    /// All texts that were loaded or refused, in order.
    pub fn loaded(&self) -> Vec<String> {
        self.log.texts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The most loads that were ever under way at the same time.
    pub fn most_at_once(&self) -> usize {
        self.log.most_at_once.load(Ordering::SeqCst)
    }

    /// Whether a slot may still load something.
    pub fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.log) > 1
    }
}

impl Log {
    fn load(&self, bytes: &[u8]) -> Result<String, LoadError> {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).push(text.clone());
        if text.contains("slow") {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        assert!(!text.contains("panic"), "told to panic");
        if text.starts_with("bad") { Err(format!("`{text}` is no module").into()) } else { Ok(text) }
    }
}

/// A source that anything is taken from, without credentials, and with little patience.
///
/// # Panics
/// It is no source.
pub fn origin(source: &str) -> Origin {
    let source = Source::parse(source, "/".as_ref()).expect("a source");
    let access = Access { timeout: Duration::from_secs(10), docker: None, ..Access::new(client()) };
    Origin { source, trust: Trust::default(), access }
}

/// The client that modules are downloaded with.
pub fn client() -> reqwest::Client {
    // Fails where another test of the process did it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    soloist::module::client(reqwest::Client::builder()).expect("a client")
}

/// The current text.
pub fn text(slot: &Slot<String>) -> Option<String> {
    slot.current().map(|loaded| loaded.value.clone())
}

/// Waits until the slot is as it must become.
///
/// # Panics
/// It does not within half a minute.
pub async fn until(slot: &Slot<String>, what: &str, condition: impl Fn(&Slot<String>) -> bool) {
    let wait = async {
        loop {
            let changed = slot.changed();
            if condition(slot) {
                return;
            }
            changed.await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, wait).await.is_ok();
    let (now, refusal, trouble) = (text(slot), slot.refusal(), slot.trouble());
    assert!(in_time, "waited for {what}, and it is {now:?}, {refusal:?}, {trouble:?}");
}

/// Waits until this is the current text.
///
/// # Panics
/// It does not become so within half a minute.
pub async fn until_text(slot: &Slot<String>, wanted: &str) {
    until(slot, wanted, |slot| text(slot).as_deref() == Some(wanted)).await;
}

/// Waits until something holds that no slot tells of.
///
/// # Panics
/// It does not within half a minute.
pub async fn until_true(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited for {what}");
}
