//! Connections over TCP: taken one by one, up to a limit, and closed when they ask nothing. A system that has no descriptor
//! left for one more is waited for; the connections that there are go on.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use hickory_net::runtime::TokioTime;
use hickory_net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_net::tcp::TcpStream;
use hickory_net::xfer::Protocol;
use hickory_net::{BufDnsStreamHandle, DnsStreamHandle as _};
use hickory_proto::op::{Header, Message, MessageType, ResponseCode, SerialMessage};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};
use hickory_server::server::{Request, RequestHandler as _, ResponseHandle};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::handler::Handler;
use super::{IDLE_TIMEOUT, MAX_TCP_CONNECTIONS, RESERVED_DESCRIPTORS};

/// Answers that may be on their way on one TCP connection: a transfer of the largest zone and some.
const ANSWERS: usize = 4096;

/// How long nothing is taken where the system cannot give it, or every place is taken by somebody who is being answered.
const PAUSE: Duration = Duration::from_millis(100);

/// The least time between two complaints of the same kind.
const COMPLAIN: Duration = Duration::from_secs(60);

/// The most connections of a process that may have as many descriptors as this one.
pub(super) fn limit() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    let room = descriptors.unwrap_or(usize::MAX).saturating_sub(RESERVED_DESCRIPTORS);
    room.clamp(1, MAX_TCP_CONNECTIONS)
}

/// Takes connections until it is told to stop, and ends them then.
pub(super) async fn serve(listener: TcpListener, handler: Handler, limit: usize, stop: CancellationToken) {
    let mut connections = Connections::default();
    let (mut full, mut trouble) = (Complaint::default(), Complaint::default());
    loop {
        let taken = tokio::select! {
            () = stop.cancelled() => return,
            ended = connections.ended() => {
                connections.forget(ended);
                continue;
            }
            taken = listener.accept() => taken,
        };
        let failed = match taken {
            Ok((stream, client)) => {
                if connections.count() >= limit {
                    full.say(|| {
                        tracing::warn!(
                            limit,
                            "there are as many TCP connections as may be: the idlest ones are closed"
                        );
                    });
                    if !connections.make_room().await {
                        // Everybody is being answered: the newest one has to come again.
                        continue;
                    }
                }
                connections.begin(stream, client, handler.clone());
                continue;
            }
            Err(error) => error,
        };
        // Others tell of a connection that is gone before it was taken.
        if !is_short_of_something(&failed) {
            tracing::debug!(error = %failed, "a TCP connection was lost before it was taken");
            continue;
        }
        trouble.say(|| tracing::warn!(error = %failed, "no TCP connection can be taken for now; the rest goes on"));
        if Errno::from_io_error(&failed) == Some(Errno::MFILE) {
            // Our own limit: one that nobody uses makes room.
            connections.close_idlest();
        }
        pause(&stop).await;
    }
}

async fn pause(stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(PAUSE) => {}
    }
}

/// Whether the system lacks what a connection needs. Asked again at once it says the same: a loop would spin.
fn is_short_of_something(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// Something to be said once, and not again and again while it lasts.
#[derive(Default)]
struct Complaint(Option<Instant>);

impl Complaint {
    fn say(&mut self, say: impl FnOnce()) {
        if self.0.is_none_or(|last| last.elapsed() >= COMPLAIN) {
            say();
        }
        // Counted from the last time that it was so.
        self.0 = Some(Instant::now());
    }
}

/// Since when a connection asks nothing; none while it is being answered.
type Idle = Arc<Mutex<Option<Instant>>>;

#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: HashMap<Id, (AbortHandle, Idle)>,
}

impl Connections {
    /// How many there are, those included that are being closed: they have their descriptors still.
    fn count(&self) -> usize {
        self.tasks.len()
    }

    fn begin(&mut self, stream: tokio::net::TcpStream, client: SocketAddr, handler: Handler) {
        let idle = Idle::new(Mutex::new(Some(Instant::now())));
        let task = self.tasks.spawn(converse(stream, client, handler, Arc::clone(&idle)));
        self.open.insert(task.id(), (task, idle));
    }

    /// Waits for the end of one; for ever where there is none.
    async fn ended(&mut self) -> Id {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => std::future::pending().await,
        }
    }

    fn forget(&mut self, id: Id) {
        self.open.remove(&id);
    }

    /// Closes the idlest one, and waits a moment until one is gone. `false` where none is.
    async fn make_room(&mut self) -> bool {
        self.close_idlest();
        let ended = tokio::time::timeout(PAUSE, self.ended()).await;
        if let Ok(id) = ended {
            self.forget(id);
        }
        ended.is_ok()
    }

    /// Closes the connection that has asked nothing for the longest time; none where every one is being answered.
    fn close_idlest(&mut self) {
        let since = |idle: &Idle| *idle.lock().unwrap_or_else(PoisonError::into_inner);
        let idlest = self.open.iter().filter_map(|(id, (_, idle))| Some((since(idle)?, *id))).min_by_key(|(at, _)| *at);
        if let Some((task, _)) = idlest.and_then(|(_, id)| self.open.remove(&id)) {
            task.abort();
        }
    }
}

/// Answers one request after the other, so that no client gets more than its turn, until there is none for too long.
async fn converse(stream: tokio::net::TcpStream, client: SocketAddr, handler: Handler, idle: Idle) {
    let (mut requests, answers) = TcpStream::from_stream_with_buffer_size(AsyncIoTokioAsStd(stream), client, ANSWERS);
    let set = |since| *idle.lock().unwrap_or_else(PoisonError::into_inner) = since;
    while let Ok(Some(Ok(request))) = tokio::time::timeout(IDLE_TIMEOUT, requests.next()).await {
        set(None);
        answer(request, client, &handler, answers.clone()).await;
        set(Some(Instant::now()));
    }
}

async fn answer(message: SerialMessage, client: SocketAddr, handler: &Handler, mut answers: BufDnsStreamHandle) {
    let (bytes, _) = message.into_parts();
    let Ok(header) = Header::read(&mut BinDecoder::new(&bytes)) else { return };
    // An answer is none to anything that we asked: to answer it could go on for ever.
    if header.message_type == MessageType::Response {
        return;
    }
    match Request::from_bytes(bytes, client, Protocol::Tcp) {
        Ok(request) => {
            let handle = ResponseHandle::new(client, answers, Protocol::Tcp);
            handler.handle_request::<_, TokioTime>(&request, handle).await;
        }
        Err(error) => {
            tracing::debug!(%error, %client, "a request cannot be read");
            let refusal = Message::error_msg(header.id, header.op_code, ResponseCode::FormErr);
            if let Ok(bytes) = refusal.to_vec() {
                // Where too much is on its way already, this is not missed.
                let _ = answers.send(SerialMessage::new(bytes, client));
            }
        }
    }
}
