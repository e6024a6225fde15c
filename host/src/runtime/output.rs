//! What a run prints: captured up to a bound, logged line by line, and the end of the run beyond its limit.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::facts::Facts;
use super::limits::Limits;
use super::log::MAX_LINE;

/// The most that a module may write at once, in bytes.
const PERMIT: usize = 64 * 1024;

/// How much of the end of stderr is kept to find out what a module said before it trapped, in bytes: a backtrace may stand
/// behind it.
const TAIL: usize = 16 * 1024;

/// What a run printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The beginning of stdout and stderr, as they came; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// Whether there was more than was kept.
    pub truncated: bool,
    /// Everything that was printed, in bytes.
    pub total: u64,
}

/// The module printed more than its limit. Ends the run.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("more than {0} bytes were printed")]
pub(super) struct Flood(pub(super) u64);

/// Which of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// What both streams of a run write to.
#[derive(Debug)]
pub(super) struct Capture {
    facts: Arc<Facts>,
    kept_limit: usize,
    total_limit: u64,
    captured: Mutex<Captured>,
}

#[derive(Debug, Default)]
struct Captured {
    kept: Vec<u8>,
    total: u64,
    stdout_line: Vec<u8>,
    stderr_line: Vec<u8>,
    stderr_tail: VecDeque<u8>,
    /// The last line of stdout that is not empty.
    last_line: Vec<u8>,
}

impl Capture {
    pub(super) fn new(facts: Arc<Facts>, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            facts,
            kept_limit: limits.output_kept,
            total_limit: limits.output_total,
            captured: Mutex::default(),
        })
    }

    pub(super) fn pipe(self: &Arc<Self>, stream: Stream) -> Pipe {
        Pipe { capture: Arc::clone(self), stream }
    }

    fn captured(&self) -> MutexGuard<'_, Captured> {
        self.captured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, stream: Stream, bytes: &[u8]) -> Result<(), Flood> {
        let mut captured = self.captured();
        captured.total = captured.total.saturating_add(bytes.len() as u64);
        if captured.total > self.total_limit {
            return Err(Flood(self.total_limit));
        }
        let room = self.kept_limit.saturating_sub(captured.kept.len()).min(bytes.len());
        captured.kept.extend_from_slice(&bytes[..room]);
        if stream == Stream::Stderr {
            captured.stderr_tail.extend(bytes);
            let over = captured.stderr_tail.len().saturating_sub(TAIL);
            captured.stderr_tail.drain(..over);
        }
        let Captured { stdout_line, stderr_line, last_line, .. } = &mut *captured;
        let (line, level) = match stream {
            Stream::Stdout => (stdout_line, Level::INFO),
            Stream::Stderr => (stderr_line, Level::WARN),
        };
        let mut parts = bytes.split(|byte| *byte == b'\n');
        // What follows the last line break begins the next line.
        let rest = parts.next_back().unwrap_or_default();
        for part in parts {
            append(line, part);
            self.log(level, line);
            if stream == Stream::Stdout && !line.trim_ascii().is_empty() {
                std::mem::swap(line, last_line);
            }
            line.clear();
        }
        append(line, rest);
        Ok(())
    }

    fn log(&self, level: Level, line: &[u8]) {
        if !line.trim_ascii().is_empty() {
            self.facts.log.line(level, &String::from_utf8_lossy(line));
        }
    }

    /// The end of stderr.
    pub(super) fn stderr_tail(&self) -> String {
        let tail = self.captured().stderr_tail.iter().copied().collect::<Vec<u8>>();
        String::from_utf8_lossy(&tail).into_owned()
    }

    /// The last line on stdout that is not empty; of a long one the beginning. It is known when the run is over.
    pub(super) fn last_line(&self) -> String {
        String::from_utf8_lossy(self.captured().last_line.trim_ascii()).into_owned()
    }

    /// Logs the lines that were not ended, and gives what was printed.
    pub(super) fn finish(&self) -> Output {
        let mut captured = self.captured();
        let stdout = std::mem::take(&mut captured.stdout_line);
        let stderr = std::mem::take(&mut captured.stderr_line);
        self.log(Level::INFO, &stdout);
        if !stdout.trim_ascii().is_empty() {
            captured.last_line = stdout;
        }
        self.log(Level::WARN, &stderr);
        let kept = std::mem::take(&mut captured.kept);
        Output {
            truncated: captured.total > kept.len() as u64,
            text: String::from_utf8_lossy(&kept).into_owned(),
            total: captured.total,
        }
    }
}

/// Adds to an unfinished line what can still be logged of it; one byte more than the limit shows that it was cut.
fn append(line: &mut Vec<u8>, part: &[u8]) {
    let room = (MAX_LINE + 1).saturating_sub(line.len()).min(part.len());
    line.extend_from_slice(&part[..room]);
}

/// One stream of a run.
#[derive(Debug, Clone)]
pub(super) struct Pipe {
    capture: Arc<Capture>,
    stream: Stream,
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {}
}

impl OutputStream for Pipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.capture.write(self.stream, &bytes).map_err(|flood| StreamError::Trap(wasmtime::Error::new(flood)))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.capture.write(self.stream, bytes).map(|()| bytes.len()).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
