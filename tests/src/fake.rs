//! A server that says what it is told to, in order to be found out: wrong, unsigned, late or not at all.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::TSigner;
use hickory_proto::rr::rdata::tsig::{TSIG, TsigError, make_tsig_record};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::hand::{read_message, write_message};

/// What to do with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answer with these bytes.
    Answer(Vec<u8>),
    /// Do nothing.
    Silence,
    /// Close the connection.
    HangUp,
}

impl From<Option<Vec<u8>>> for Reply {
    fn from(answer: Option<Vec<u8>>) -> Self {
        answer.map_or(Self::Silence, Self::Answer)
    }
}

/// A server on a loopback port of its own.
#[derive(Debug)]
pub struct Fake {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

impl Fake {
    /// A server that is told for each request what to do, and how many came before it on its connection.
    pub async fn start(reply: impl Fn(&[u8], usize) -> Reply + Clone + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let reply = reply.clone();
                serving.spawn(async move {
                    let mut earlier = 0;
                    while let Ok(Some(request)) = read_message(&mut client).await {
                        match reply(&request, earlier) {
                            Reply::Answer(answer) if write_message(&mut client, &answer).await.is_err() => return,
                            Reply::Answer(_) | Reply::Silence => {}
                            Reply::HangUp => return,
                        }
                        earlier += 1;
                    }
                });
            }
        });
        Ok(Self { address, connections, accepting: accepting.abort_handle() })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An authoritative answer to a request with this code, unsigned; none to what is no request.
pub fn unsigned(request: &[u8], code: ResponseCode) -> Option<Vec<u8>> {
    let request = Message::from_vec(request).ok()?;
    let mut answer = Message::new(request.metadata.id, MessageType::Response, request.metadata.op_code);
    answer.metadata.authoritative = true;
    answer.metadata.response_code = code;
    answer.add_queries(request.queries);
    answer.to_vec().ok()
}

/// The same, signed by a server whose clock shows this time, in seconds (RFC 8945, section 5.3): a BADTIME where the
/// request's time is too far from it (section 5.2.3).
pub fn signed_at(request: &[u8], code: ResponseCode, signer: &TSigner, second: u64) -> Option<Vec<u8>> {
    let asked = Message::from_vec(request).ok()?;
    let asked = &asked.signature()?.data;
    let ahead = second.cast_signed() - asked.time.cast_signed();
    if ahead.unsigned_abs() > u64::from(asked.fudge) {
        return signed(request, ResponseCode::NotAuth, signer, Some((TsigError::BadTime, ahead)));
    }
    sign(request, code, signer, second, None)
}

/// The same, signed at the request's own time, with an error and how many seconds the server's clock is ahead of the
/// request's, if that is what is wrong (section 5.2.3).
pub fn signed(
    request: &[u8],
    code: ResponseCode,
    signer: &TSigner,
    error: Option<(TsigError, i64)>,
) -> Option<Vec<u8>> {
    let time = Message::from_vec(request).ok()?.signature()?.data.time;
    sign(request, code, signer, time, error)
}

fn sign(
    request: &[u8],
    code: ResponseCode,
    signer: &TSigner,
    second: u64,
    error: Option<(TsigError, i64)>,
) -> Option<Vec<u8>> {
    let asked = Message::from_vec(request).ok()?;
    let asked = &asked.signature()?.data;
    let answer = unsigned(request, code)?;
    let mut message = Message::from_vec(&answer).ok()?;
    let time = error.and_then(|(_, ahead)| asked.time.checked_add_signed(ahead));
    let other = time.map_or_else(Vec::new, |time| time.to_be_bytes()[2..].to_vec());
    let (id, error) = (message.metadata.id, error.map(|(error, _)| error));
    let stub = TSIG::new(asked.algorithm.clone(), second, asked.fudge, Vec::new(), id, error, other);
    let mac = signer.sign(&signer.encode_response_tbs(&asked.mac, &answer, &stub).ok()?).ok()?;
    message.set_signature(Box::new(make_tsig_record(signer.signer_name().clone(), stub.set_mac(mac))));
    message.to_vec().ok()
}
