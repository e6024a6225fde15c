//! The TCP connection that all arbiters at a server share: opened when it is needed, dropped at the first doubt, and
//! a request that may have reached the server is never sent again.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::tcp::TcpClientStream;
use hickory_net::xfer::{DnsExchange, DnsHandle as _, DnsMultiplexer, FirstAnswer as _};
use hickory_net::{NetError, runtime::iocompat::AsyncIoTokioAsStd};
use hickory_proto::op::{DnsRequest, DnsResponse, Message};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use crate::clock::boot_ms;

/// How many requests are under way at a server at once; others wait for their turn. Below the 32 from which
/// hickory's queues refuse requests.
const IN_FLIGHT: usize = 24;

/// A connection that was idle for longer is not trusted with a request: servers close theirs after 5 to 30 seconds,
/// and a router in between may forget one without telling anybody.
const MAX_IDLE: Duration = Duration::from_secs(4);

/// A server, and the connection to it.
pub(super) struct Server {
    /// `address:port` or `name:port`; a name is looked up for each connection, so that a primary that moved is found.
    place: String,
    timeout: Duration,
    turns: Semaphore,
    current: Mutex<Option<Arc<Connection>>>,
    repeats_time: AtomicBool,
}

/// An answer, and when it was asked for and came, in milliseconds of [`boot_ms`].
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) answer: DnsResponse,
    pub(super) sent_ms: u64,
    pub(super) received_ms: u64,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request was never sent.
    NotSent(String),
    /// It was no longer wanted when it was about to be sent.
    Withdrawn,
    /// The connection ended, and the request may have reached the server.
    Lost {
        /// What happened.
        reason: String,
        /// Whether the connection had served another request before.
        reused: bool,
    },
    /// No answer came in time.
    Silent(Duration),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(reason) => f.write_str(reason),
            Self::Withdrawn => f.write_str("no longer wanted"),
            Self::Lost { reason, .. } => write!(f, "the connection ended before the answer: {reason}"),
            Self::Silent(limit) => write!(f, "no answer within {} ms", limit.as_millis()),
        }
    }
}

struct Connection {
    exchange: DnsExchange<TokioRuntimeProvider>,
    /// Moves bytes until the connection ends; ends it when nobody holds the connection any more.
    #[cfg_attr(not(test), expect(dead_code, reason = "held for what its drop does"))]
    driver: AbortOnDropHandle<()>,
    last_used: StdMutex<Instant>,
}

/// How one attempt at sending a request failed.
enum Unanswered {
    /// It provably never left this process.
    Unsent(String),
    Failed(Failure),
}

impl Server {
    pub(super) fn new(place: String, timeout: Duration) -> Self {
        Self {
            place,
            timeout,
            turns: Semaphore::new(IN_FLIGHT),
            current: Mutex::new(None),
            repeats_time: AtomicBool::new(false),
        }
    }

    /// Another connection to the same server.
    pub(super) fn another(&self) -> Self {
        Self::new(self.place.clone(), self.timeout)
    }

    /// Whether its signatures say our own time and not its own.
    pub(super) fn repeats_time(&self) -> bool {
        self.repeats_time.load(Ordering::Relaxed)
    }

    pub(super) fn set_repeats_time(&self, repeats: bool) {
        self.repeats_time.store(repeats, Ordering::Relaxed);
    }

    /// Sends a request and waits for its answer. Waits at most the time-out for a turn and a connection, and then
    /// again at most as long for the answer. A connection that had ended before is replaced once, in as much time again.
    /// `may` is asked right before it is sent whether it still is to be.
    pub(super) async fn exchange(
        &self,
        request: &Message,
        may: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Answered, Failure> {
        let deadline = Instant::now() + self.timeout;
        let _turn = self.turn(deadline).await?;
        let (connection, reused) = self.connection(deadline).await?;
        if !may() {
            return Err(Failure::Withdrawn);
        }
        let first = match self.send(&connection, request.clone(), reused).await {
            Ok(answer) => return Ok(answer),
            Err(first) => first,
        };
        self.retire(&connection).await;
        match first {
            Unanswered::Failed(failure) => Err(failure),
            // The server had closed the idle connection: this is the first time that the request is sent.
            Unanswered::Unsent(_) if reused => {
                let deadline = Instant::now() + self.timeout;
                let (connection, reused) = self.connection(deadline).await?;
                if !may() {
                    return Err(Failure::Withdrawn);
                }
                let second = self.send(&connection, request.clone(), reused).await;
                if second.is_err() {
                    self.retire(&connection).await;
                }
                second.map_err(|unanswered| match unanswered {
                    Unanswered::Unsent(reason) => Failure::NotSent(reason),
                    Unanswered::Failed(failure) => failure,
                })
            }
            Unanswered::Unsent(reason) => Err(Failure::NotSent(reason)),
        }
    }

    async fn turn(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        match timeout_at(deadline, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(Failure::NotSent("the connection is shut down".to_owned())),
            Err(_) => Err(Failure::NotSent(format!(
                "{IN_FLIGHT} earlier requests were still without an answer after {} ms",
                self.timeout.as_millis()
            ))),
        }
    }

    /// The connection, opened if there is none that can be trusted, and whether it was there before.
    async fn connection(&self, deadline: Instant) -> Result<(Arc<Connection>, bool), Failure> {
        let opening = async {
            // Held while connecting, so that many requests at once open one connection.
            let mut current = self.current.lock().await;
            if let Some(connection) = current.as_ref().filter(|connection| connection.is_trusted()) {
                return Ok((Arc::clone(connection), true));
            }
            *current = None;
            let connection = Arc::new(Connection::open(&self.place, self.timeout).await?);
            *current = Some(Arc::clone(&connection));
            Ok((connection, false))
        };
        match timeout_at(deadline, opening).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(Failure::NotSent(format!("no connection: {}", plain(&error)))),
            Err(_) => Err(Failure::NotSent(format!("no connection within {} ms", self.timeout.as_millis()))),
        }
    }

    async fn send(&self, connection: &Connection, request: Message, reused: bool) -> Result<Answered, Unanswered> {
        let sent_ms = boot_ms();
        let answer = connection.exchange.send(DnsRequest::from(request)).first_answer();
        match timeout(self.timeout, answer).await {
            Ok(Ok(answer)) => {
                *connection.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                Ok(Answered { answer, sent_ms, received_ms: boot_ms() })
            }
            Ok(Err(NetError::Timeout)) | Err(_) => Err(Unanswered::Failed(Failure::Silent(self.timeout))),
            Ok(Err(error)) if never_sent(&error) => Err(Unanswered::Unsent(plain(&error))),
            Ok(Err(error)) => Err(Unanswered::Failed(Failure::Lost { reason: plain(&error), reused })),
        }
    }

    /// Takes a connection out of use. Requests that are still under way on it may end there.
    async fn retire(&self, connection: &Arc<Connection>) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|held| Arc::ptr_eq(held, connection)) {
            *current = None;
        }
    }
}

impl Connection {
    /// Opens a connection to the first address of the place that takes one.
    async fn open(place: &str, limit: Duration) -> Result<Self, NetError> {
        let mut failed = NetError::from("the name has no address");
        for address in tokio::net::lookup_host(place).await? {
            match Self::open_at(address, limit).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn open_at(address: SocketAddr, limit: Duration) -> Result<Self, NetError> {
        let (opening, outbound) = TcpClientStream::<AsyncIoTokioAsStd<TcpStream>>::new(
            address,
            None,
            Some(limit),
            TokioRuntimeProvider::new(),
        );
        // The time-out of a request is ours; this one only clears up behind it.
        let multiplexer = DnsMultiplexer::new(opening.await?, outbound).with_timeout(limit * 2);
        let (exchange, driver) = DnsExchange::from_stream(multiplexer);
        let driver = AbortOnDropHandle::new(tokio::spawn(driver));
        Ok(Self { exchange, driver, last_used: StdMutex::new(Instant::now()) })
    }

    /// Whether it was used lately. It may have ended since: then it takes no request, and [`never_sent`] tells.
    fn is_trusted(&self) -> bool {
        self.last_used.lock().unwrap_or_else(PoisonError::into_inner).elapsed() <= MAX_IDLE
    }
}

/// Whether the error proves that no byte of the request was written.
///
/// hickory says `Busy` when its own queue does not take a request, and cancels a request that it has queued but not
/// looked at when it finds the connection closed. Anything else, and any other wording, may have been sent.
fn never_sent(error: &NetError) -> bool {
    match error {
        NetError::Busy => true,
        NetError::Message(text) => *text == "receiver was canceled",
        NetError::Msg(text) => text == "receiver was canceled",
        _ => false,
    }
}

/// The error as people know it: an operating system's reason without what it is wrapped in.
fn plain(error: &NetError) -> String {
    match error {
        NetError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::rr::Name;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::message;
    use super::*;

    /// A server that echoes every message as a response, which is enough of an answer here.
    async fn echo(listener: TcpListener) {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut message = vec![0; 512];
                while let Ok(length @ 5..) = client.read(&mut message).await {
                    // The bit that makes a response, behind the length and the id.
                    message[4] |= 0x80;
                    client.write_all(&message[..length]).await.unwrap();
                }
            });
        }
    }

    async fn server() -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let server = Server::new(listener.local_addr().unwrap().to_string(), Duration::from_secs(10));
        tokio::spawn(echo(listener));
        server
    }

    #[tokio::test]
    async fn a_name_is_looked_up_for_each_connection_and_each_of_its_addresses_is_tried() {
        // `localhost` may be `::1` first, where nobody listens.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let place = format!("localhost:{}", listener.local_addr().unwrap().port());
        tokio::spawn(echo(listener));
        let server = Server::new(place, Duration::from_secs(10));
        let question = message::query(&Name::from_ascii("job.example.test.").unwrap());
        server.exchange(&question, &|| true).await.unwrap();
    }

    #[tokio::test]
    async fn a_name_that_is_not_found_sends_nothing() {
        let server = Server::new("nowhere.invalid:53".to_owned(), Duration::from_secs(10));
        let question = message::query(&Name::from_ascii("job.example.test.").unwrap());
        let failure = server.exchange(&question, &|| true).await.unwrap_err();
        assert!(matches!(failure, Failure::NotSent(_)), "{failure}");
    }

    async fn held(server: &Server) -> Arc<Connection> {
        Arc::clone(server.current.lock().await.as_ref().unwrap())
    }

    #[tokio::test]
    async fn a_connection_is_used_again() {
        let server = server().await;
        server.exchange(&message::query(&Name::root()), &|| true).await.unwrap();
        let first = held(&server).await;
        server.exchange(&message::query(&Name::root()), &|| true).await.unwrap();
        assert!(Arc::ptr_eq(&first, &held(&server).await));
    }

    #[tokio::test]
    async fn a_connection_that_was_idle_for_long_is_not_used_again() {
        let server = server().await;
        server.exchange(&message::query(&Name::root()), &|| true).await.unwrap();
        let first = held(&server).await;
        *first.last_used.lock().unwrap() -= MAX_IDLE + Duration::from_secs(1);
        server.exchange(&message::query(&Name::root()), &|| true).await.unwrap();
        assert!(!Arc::ptr_eq(&first, &held(&server).await));
    }

    #[tokio::test]
    async fn a_request_that_a_dead_connection_did_not_take_is_sent_on_another() {
        let server = server().await;
        server.exchange(&message::query(&Name::root()), &|| true).await.unwrap();
        let first = held(&server).await;
        first.driver.abort();
        while !first.driver.is_finished() {
            tokio::task::yield_now().await;
        }
        server.exchange(&message::query(&Name::root()), &|| true).await.unwrap();
        assert!(!Arc::ptr_eq(&first, &held(&server).await));
    }

    /// Pins the wording of hickory that [`never_sent`] goes by.
    #[tokio::test]
    async fn a_request_that_hickory_had_queued_but_not_looked_at_was_never_sent() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (opening, outbound) = TcpClientStream::<AsyncIoTokioAsStd<TcpStream>>::new(
            listener.local_addr().unwrap(),
            None,
            None,
            TokioRuntimeProvider::new(),
        );
        let multiplexer = DnsMultiplexer::new(opening.await.unwrap(), outbound);
        let (exchange, driver) = DnsExchange::<TokioRuntimeProvider>::from_stream(multiplexer);
        let queued = exchange.send(DnsRequest::from(message::query(&Name::root()))).first_answer();
        drop(driver);
        assert!(never_sent(&queued.await.unwrap_err()));
        let refused = exchange.send(DnsRequest::from(message::query(&Name::root()))).first_answer();
        assert!(never_sent(&refused.await.unwrap_err()));
    }
}
