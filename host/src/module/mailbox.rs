//! What was found at a source and not yet taken: the newest of each kind, however many came before.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::Digest;
use super::follow::Found;
use super::source::Unavailable;
use super::trust::{Distrust, Trusted};

/// Where whoever follows a source leaves what it finds, for the task that loads it.
#[derive(Default)]
pub(super) struct Mailbox {
    news: Mutex<News>,
    wake: Notify,
}

/// What there is since the last time, in the order in which it is to be taken.
#[derive(Default)]
pub(super) struct News {
    /// Whether the source gives anything; none for no news of that.
    pub(super) answer: Option<Result<(), Unavailable>>,
    /// The newest module.
    pub(super) module: Option<Trusted>,
    /// What stands there instead, since then, and is not to be trusted.
    pub(super) refused: Option<Distrust>,
    /// What was trusted last, where the source means it again since then.
    pub(super) restored: Option<Digest>,
}

impl Mailbox {
    /// A module was found, or the reason why none was.
    pub(super) fn put(&self, found: Result<Trusted, Unavailable>) {
        self.change(|news| match found {
            Ok(module) => *news = News { module: Some(module), answer: Some(Ok(())), ..News::default() },
            // A module that was found before and not taken yet is still the newest.
            Err(reason) => news.answer = Some(Err(reason)),
        });
    }

    /// A source was asked, and this is what it said.
    pub(super) fn put_found(&self, found: Found<Trusted>) {
        match found {
            Found::New(module) => self.put(Ok(module)),
            Found::Same => self.change(|news| news.answer = Some(Ok(()))),
            Found::Current(digest) => self.change(|news| {
                (news.answer, news.refused, news.restored) = (Some(Ok(())), None, Some(digest));
            }),
        }
    }

    /// Something was found that is not to be trusted.
    pub(super) fn put_refused(&self, distrust: Distrust) {
        self.change(|news| {
            (news.answer, news.refused, news.restored) = (Some(Ok(())), Some(distrust), None);
        });
    }

    fn change(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_one();
    }

    /// Waits for news, and takes them all.
    pub(super) async fn take(&self) -> News {
        self.wake.notified().await;
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
