//! A TCP relay between an arbiter and its server, which can lose a request or its answer and counts what passes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::hand::{read_message, write_message};

/// What happens to the next update that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut before the server gets it.
    CutBeforeRequest,
    /// The server gets and answers it; the connection is cut before the answer.
    CutBeforeAnswer,
    /// The server gets and answers it; the answer never comes, and the connection stays open.
    SwallowAnswer,
}

/// A relay on a loopback port of its own.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

#[derive(Debug, Default)]
struct State {
    fault: Mutex<Option<Fault>>,
    connections: AtomicUsize,
    updates: AtomicUsize,
    open: Mutex<Vec<AbortHandle>>,
}

impl Relay {
    /// A relay to this server.
    pub async fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let state = Arc::clone(&shared);
                // An error of either side ends the connection, which is all that the other side should see.
                let relaying = tokio::spawn(async move {
                    let _ = relay(client, server, &state).await;
                });
                shared.open.lock().unwrap_or_else(PoisonError::into_inner).push(relaying.abort_handle());
            }
        });
        Ok(Self { address, state, accepting: accepting.abort_handle() })
    }

    /// Where to connect instead of to the server.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets this happen to the next update, once.
    pub fn fail_next_update(&self, fault: Fault) {
        *self.state.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        for connection in self.state.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            connection.abort();
        }
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many updates came.
    pub fn updates(&self) -> usize {
        self.state.updates.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

/// One request after the other: each waits for the answer of the one before.
async fn relay(mut client: TcpStream, server: SocketAddr, state: &State) -> Result<()> {
    let mut server = TcpStream::connect(server).await?;
    while let Some(request) = read_message(&mut client).await? {
        let mut fault = None;
        if is_update(&request) {
            state.updates.fetch_add(1, Ordering::SeqCst);
            fault = state.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        if fault == Some(Fault::CutBeforeRequest) {
            return Ok(());
        }
        write_message(&mut server, &request).await?;
        let Some(answer) = read_message(&mut server).await? else { return Ok(()) };
        match fault {
            None => write_message(&mut client, &answer).await?,
            Some(Fault::SwallowAnswer) => {}
            Some(_) => return Ok(()),
        }
    }
    Ok(())
}

/// Whether the message's operation is UPDATE (RFC 2136, section 2.2): the four bits after the first of its third byte.
fn is_update(message: &[u8]) -> bool {
    message.get(2).is_some_and(|flags| flags >> 3 & 0xf == 5)
}
