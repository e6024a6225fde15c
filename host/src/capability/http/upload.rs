//! A request's body that is sent as the module writes it: bounded in size and time, with secrets put in, and broken off
//! where the module does not end it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use reqwest::Url;
use tokio::time::{Instant, Sleep, sleep_until};

use super::gate::Error;
use crate::capability::secrets::{Replacer, Vault};
use crate::runtime::Facts;

/// The largest body that is streamed, in bytes; in either direction.
pub const MAX_STREAM: u64 = 64 << 20;

/// What a module writes, piece by piece.
#[derive(Debug)]
pub struct Stream {
    /// Its pieces, and trailers at the end.
    pub body: UnsyncBoxBody<Bytes, Error>,
    /// How many bytes it has, if that was said.
    pub length: Option<u64>,
    /// Gone when the run is over.
    pub alive: Weak<()>,
}

/// Why an upload broke off, for whoever waits for the answer: a client's error does not always tell.
pub(super) type Broken = Arc<OnceLock<Error>>;

/// A [`Stream`] on its way.
pub(super) struct Upload(Mutex<Sending>);

struct Sending {
    stream: Stream,
    /// Puts the secrets in.
    outward: Option<(Replacer, Arc<Vault>, Url)>,
    facts: Arc<Facts>,
    end: Pin<Box<Sleep>>,
    left: u64,
    trailers: Option<HeaderMap>,
    over: bool,
    broken: Broken,
}

impl Upload {
    pub(super) fn new(
        stream: Stream,
        vault: &Arc<Vault>,
        url: &Url,
        facts: &Arc<Facts>,
        end: Instant,
    ) -> (Self, Broken) {
        let broken = Broken::default();
        let outward = (!vault.is_empty()).then(|| (vault.outward(url), Arc::clone(vault), url.clone()));
        let sending = Sending {
            stream,
            outward,
            facts: Arc::clone(facts),
            end: Box::pin(sleep_until(end)),
            left: MAX_STREAM,
            trailers: None,
            over: false,
            broken: Arc::clone(&broken),
        };
        (Self(Mutex::new(sending)), broken)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let sending = self.get_mut().0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let frame = ready!(sending.poll(cx));
        if let Some(Err(error)) = &frame {
            let _ = sending.broken.set(error.clone());
            sending.over = true;
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        let sending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Secrets and their placeholders have other lengths.
        match (sending.stream.length, &sending.outward) {
            (Some(length), None) => SizeHint::with_exact(length),
            _ => SizeHint::default(),
        }
    }
}

impl Sending {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        if self.over {
            return Poll::Ready(None);
        }
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Error::Timeout)));
        }
        loop {
            let frame = match ready!(Pin::new(&mut self.stream.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(self.finish(None)),
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => return Poll::Ready(self.finish(frame.into_trailers().ok())),
            };
            let data = match self.take(&data) {
                Ok(data) => data,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    /// A piece, as it is sent.
    fn take(&mut self, data: &Bytes) -> Result<Bytes, Error> {
        let left = self.left.checked_sub(data.len() as u64);
        self.left =
            left.ok_or_else(|| Error::TooLarge(format!("the request's body has more than {MAX_STREAM} bytes")))?;
        match &mut self.outward {
            None => Ok(data.clone()),
            Some((outward, ..)) => outward.step(data, false).map(Bytes::from).map_err(Error::Denied),
        }
    }

    /// The end: what was held back, then the trailers.
    fn finish(&mut self, mut trailers: Option<HeaderMap>) -> Option<Result<Frame<Bytes>, Error>> {
        self.over = true;
        // A run that is over ended its stream by dropping it, wherever it was.
        if self.stream.alive.strong_count() == 0 || self.facts.stop().is_some() {
            return Some(Err(Error::Failed("the run ended before the request's body".to_owned())));
        }
        let mut rest = Vec::new();
        if let Some((outward, vault, url)) = &mut self.outward {
            let filled = outward
                .step(&[], true)
                .and_then(|data| trailers.as_mut().map_or(Ok(()), |trailers| vault.fill(trailers, url)).map(|()| data));
            match filled {
                Ok(data) => rest = data,
                Err(reason) => return Some(Err(Error::Denied(reason))),
            }
        }
        if rest.is_empty() {
            return trailers.map(|trailers| Ok(Frame::trailers(trailers)));
        }
        self.trailers = trailers;
        Some(Ok(Frame::data(rest.into())))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::capability::Secret;
    use crate::capability::http::Grant;
    use crate::capability::secrets::Bound;

    #[tokio::test]
    async fn trailers_get_the_secret_on_the_way_to_its_origin_only() {
        let origins = Grant::of(["https://api.example.com"]).unwrap();
        let bound = Bound { name: "token".to_owned(), secret: Secret::new("geheim-und-lang"), origins };
        let vault = Arc::new(Vault::new([bound]));
        let placeholder = vault.placeholder("token").unwrap().to_owned();
        let upload = |origin: &str| {
            let trailers = HeaderMap::from_iter([(http::header::ETAG, placeholder.parse().unwrap())]);
            let frames = futures_util::stream::iter([Ok(Frame::trailers(trailers))]);
            let alive = Arc::new(());
            let stream =
                Stream { body: StreamBody::new(frames).boxed_unsync(), length: None, alive: Arc::downgrade(&alive) };
            let url = Url::parse(origin).unwrap();
            let (upload, _) = Upload::new(
                stream,
                &vault,
                &url,
                &Arc::new(Facts::of_any_run()),
                Instant::now() + Arc::new(Facts::of_any_run()).remaining(),
            );
            // Until it was read, the run goes on.
            async move { (upload.collect().await, alive).0 }
        };
        let sent = upload("https://api.example.com").await.unwrap();
        assert_eq!(sent.trailers().unwrap()["etag"], "geheim-und-lang");
        let refused = upload("https://other.example.com").await.map(|_| ());
        assert!(matches!(&refused, Err(Error::Denied(reason)) if reason.contains("is not bound to")), "{refused:?}");
    }
}
