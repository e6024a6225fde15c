//! A relay between an arbiter and an HTTP API, one request a connection, which can be late, lose a request or its answer,
//! and counts what passes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// The longest request that is relayed, in bytes.
const MAX_REQUEST: usize = 1 << 20;

/// What happens to the next request of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut before the server gets it.
    CutBeforeRequest,
    /// The server gets and answers it; the connection is cut before the answer.
    CutBeforeAnswer,
    /// The server gets it so much later, whatever the client does.
    Late(Duration),
}

/// The requests that a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// GET.
    Read,
    /// PATCH.
    Write,
}

/// A relay on a loopback port of its own.
#[derive(Debug)]
pub struct HttpRelay {
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

#[derive(Debug, Default)]
struct State {
    fault: Mutex<Option<(Kind, Fault)>>,
    reads: AtomicUsize,
    writes: AtomicUsize,
}

impl HttpRelay {
    /// A relay to this server.
    pub async fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                // An error of either side ends the connection, which is all that the other side should see.
                tokio::spawn(async move { _ = relay(client, server, &state).await });
            }
        });
        Ok(Self { address, state, accepting: accepting.abort_handle() })
    }

    /// Where to connect instead of to the server.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets this happen to the next request of this kind, once.
    pub fn fail_next(&self, kind: Kind, fault: Fault) {
        *self.state.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some((kind, fault));
    }

    /// How many requests came that read.
    pub fn reads(&self) -> usize {
        self.state.reads.load(Ordering::SeqCst)
    }

    /// How many requests came that write.
    pub fn writes(&self) -> usize {
        self.state.writes.load(Ordering::SeqCst)
    }
}

impl Drop for HttpRelay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    fn passes(&self, request: &[u8]) -> Option<Fault> {
        let (kind, count) =
            if request.starts_with(b"PATCH ") { (Kind::Write, &self.writes) } else { (Kind::Read, &self.reads) };
        count.fetch_add(1, Ordering::SeqCst);
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take_if(|(of, _)| *of == kind).map(|(_, fault)| fault)
    }
}

async fn relay(mut client: TcpStream, server: SocketAddr, state: &State) -> Result<()> {
    let request = whole_request(&mut client).await?;
    let fault = state.passes(&request);
    match fault {
        Some(Fault::CutBeforeRequest) => return Ok(()),
        Some(Fault::Late(wait)) => tokio::time::sleep(wait).await,
        Some(Fault::CutBeforeAnswer) | None => {}
    }
    let mut server = TcpStream::connect(server).await?;
    server.write_all(&request).await?;
    // The server closes the connection behind its answer.
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    if fault != Some(Fault::CutBeforeAnswer) {
        client.write_all(&answer).await?;
    }
    Ok(())
}

/// One request, its body as long as its header says.
async fn whole_request(client: &mut TcpStream) -> Result<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if let Some(length) = length(&request)
            && request.len() >= length
        {
            return Ok(request);
        }
        let room = u64::try_from(MAX_REQUEST - request.len())?;
        let read = client.take(room).read_buf(&mut request).await?;
        (read > 0).then_some(()).context("the request ends in the middle")?;
    }
}

/// How long the whole request is; none until its header is there.
fn length(request: &[u8]) -> Option<usize> {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let header = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let body = header.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    Some(end + body.unwrap_or(0))
}
