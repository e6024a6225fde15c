//! A response: its head at once, its body as it is read, bounded in size and time, without secrets.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::gate::Error;
use super::judge::Judge;
use crate::capability::secrets::{Replacer, Vault};

/// A response whose body is still to be read. It holds one of the run's places.
#[derive(Debug)]
pub struct Incoming {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) url: String,
    pub(super) body: reqwest::Body,
    pub(super) deadline: Instant,
    pub(super) most: u64,
    pub(super) read: u64,
    /// Takes the secrets out.
    pub(super) inward: Option<(Replacer, Arc<Vault>)>,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) over: bool,
    pub(super) judge: Judge,
    pub(super) _place: OwnedSemaphorePermit,
}

impl Incoming {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The URL that answered.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next piece of the body; none at its end. Trailers are left out.
    ///
    /// # Errors
    /// The body is over its limit, late or broken off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.frame().await? {
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The next piece of the body, or its trailers; none at the end.
    ///
    /// # Errors
    /// As for [`Self::chunk`].
    pub async fn frame(&mut self) -> Result<Option<Frame<Bytes>>, Error> {
        if let Some(trailers) = self.trailers.take() {
            return Ok(Some(Frame::trailers(trailers)));
        }
        while !self.over {
            let read = timeout_at(self.deadline, self.body.frame()).await.map_err(|_| Error::Timeout)?;
            let frame = match read.transpose() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(self.finish(None)),
                Err(error) => return Err(self.judge.body(&error)),
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => return Ok(self.finish(frame.into_trailers().ok())),
            };
            self.read += data.len() as u64;
            if self.read > self.most {
                return Err(Error::TooLarge(format!("the response's body has more than {} bytes", self.most)));
            }
            let data = match &mut self.inward {
                None => data,
                // Nothing is refused on the way in.
                Some((inward, _)) => inward.step(&data, false).map_err(Error::Failed)?.into(),
            };
            if !data.is_empty() {
                return Ok(Some(Frame::data(data)));
            }
        }
        Ok(None)
    }

    fn finish(&mut self, mut trailers: Option<HeaderMap>) -> Option<Frame<Bytes>> {
        self.over = true;
        let mut rest = Vec::new();
        if let Some((inward, vault)) = &mut self.inward {
            rest = inward.step(&[], true).unwrap_or_default();
            if let Some(trailers) = &mut trailers {
                vault.scrub_headers(trailers);
            }
        }
        if rest.is_empty() {
            return trailers.map(Frame::trailers);
        }
        self.trailers = trailers;
        Some(Frame::data(rest.into()))
    }

    /// The whole body.
    ///
    /// # Errors
    /// As for [`Self::chunk`].
    pub async fn body(mut self) -> Result<Bytes, Error> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}
