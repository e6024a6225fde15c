//! A TCP relay between an arbiter and its server, which can lose a request or its answer, counts what passes, and knows what
//! was written in the order in which the server did it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use hickory_proto::op::Message;
use hickory_proto::rr::{DNSClass, RData};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::agents::now_ms;
use crate::hand::{read_message, write_message};

/// How many updates are kept: far more than any test sends. Later ones are not.
const MAX_WRITTEN: usize = 100_000;

/// An update that the server has carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// When it was sent to the server, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The value of each TXT record that it added.
    pub values: Vec<Vec<u8>>,
}

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
    queries: AtomicUsize,
    updates: AtomicUsize,
    /// One update at a time goes to the server, so that their order is known.
    written: tokio::sync::Mutex<Vec<Written>>,
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

    /// How many requests came that are no updates.
    pub fn queries(&self) -> usize {
        self.state.queries.load(Ordering::SeqCst)
    }

    /// What was written, in the order of the server.
    pub async fn written(&self) -> Vec<Written> {
        self.state.written.lock().await.clone()
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
        } else {
            state.queries.fetch_add(1, Ordering::SeqCst);
        }
        if fault == Some(Fault::CutBeforeRequest) {
            return Ok(());
        }
        let Some(answer) = exchange(&mut server, &request, state).await? else { return Ok(()) };
        match fault {
            None => write_message(&mut client, &answer).await?,
            Some(Fault::SwallowAnswer) => {}
            Some(_) => return Ok(()),
        }
    }
    Ok(())
}

async fn exchange(server: &mut TcpStream, request: &[u8], state: &State) -> Result<Option<Vec<u8>>> {
    if !is_update(request) {
        write_message(server, request).await?;
        return Ok(read_message(server).await?);
    }
    let mut written = state.written.lock().await;
    let at_ms = now_ms();
    write_message(server, request).await?;
    let answer = read_message(server).await?;
    if answer.as_ref().is_some_and(|answer| is_carried_out(answer)) && written.len() < MAX_WRITTEN {
        written.push(Written { at_ms, values: added(request)? });
    }
    Ok(answer)
}

/// Whether an answer's code is NOERROR: the last four bits of its fourth byte.
fn is_carried_out(answer: &[u8]) -> bool {
    answer.get(3).is_some_and(|flags| flags % 16 == 0)
}

/// The TXT records that an update adds (RFC 2136, section 2.5.1).
fn added(update: &[u8]) -> Result<Vec<Vec<u8>>> {
    let update = Message::from_vec(update)?;
    let added = update.authorities.iter().filter(|record| record.dns_class == DNSClass::IN);
    Ok(added
        .filter_map(|record| if let RData::TXT(txt) = &record.data { Some(txt.txt_data.concat()) } else { None })
        .collect())
}

/// Whether the message's operation is UPDATE (RFC 2136, section 2.2): the four bits after the first of its third byte.
fn is_update(message: &[u8]) -> bool {
    message.get(2).is_some_and(|flags| flags >> 3 & 0xf == 5)
}
