//! One question to one server: over UDP, and over TCP where the answer is truncated. What answers another question is no answer.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use hickory_net::NetError;
use hickory_net::client::Client;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::tcp::TcpClientStream;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsHandle, DnsMultiplexer, DnsRequestSender};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Edns, Message, OpCode, Query};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption, NSIDPayload};
use hickory_proto::rr::{Name, RecordType};

/// The longest answer over UDP; a longer one is asked for again over TCP.
const UDP_PAYLOAD: u16 = 1232;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// The name, absolute.
    pub(crate) name: Name,
    /// The type.
    pub(crate) rtype: RecordType,
    /// Whether the server is asked to find the answer elsewhere, too (RD).
    pub(crate) recursive: bool,
}

impl Question {
    fn query(&self) -> Query {
        Query::query(self.name.clone(), self.rtype)
    }

    fn request(&self) -> Result<DnsRequest, NetError> {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        edns.options_mut().insert(EdnsOption::NSID(NSIDPayload::new(Vec::new())?));
        let mut message = Message::query();
        message.metadata.recursion_desired = self.recursive;
        message.add_query(self.query());
        message.set_edns(edns);
        let mut options = DnsRequestOptions::default();
        options.recursion_desired = self.recursive;
        Ok(DnsRequest::new(message, options))
    }

    /// The answer, if it is one to this question. An answer that repeats no question is taken only where it is an error.
    fn checked(&self, answer: DnsResponse) -> Result<DnsResponse, NetError> {
        let asked = self.query();
        let echoed = match answer.queries.as_slice() {
            [only] => *only == asked,
            [] => answer.answers.is_empty(),
            _ => false,
        };
        if echoed && answer.op_code == OpCode::Query {
            Ok(answer)
        } else {
            Err(NetError::Message("it is one to another question"))
        }
    }
}

/// Asks a server. Takes at most `timeout` over UDP, and then again as long over TCP: bound the whole.
///
/// # Errors
/// There is no answer, it cannot be read, is one to another question, or is truncated over TCP, too.
pub(crate) async fn exchange(
    question: &Question,
    addr: SocketAddr,
    timeout: Duration,
) -> Result<DnsResponse, NetError> {
    match over_udp(question.request()?, addr, timeout).await {
        Ok(answer) if !answer.truncation => question.checked(answer),
        Ok(_) | Err(NetError::Truncated) => exchange_over_tcp(question, addr, timeout).await,
        Err(error) => Err(error),
    }
}

/// The same, where a server may be reached over TCP only: that is tried, too, when half of the time is over without an answer, or
/// at once where the network says that there will be none. The first answer counts.
///
/// # Errors
/// As [`exchange`]: what went wrong over UDP.
pub(crate) async fn exchange_either_way(
    question: &Question,
    addr: SocketAddr,
    timeout: Duration,
) -> Result<DnsResponse, NetError> {
    let later = async {
        tokio::time::sleep(timeout / 2).await;
        exchange_over_tcp(question, addr, timeout).await
    };
    match select(pin!(exchange(question, addr, timeout)), pin!(later)).await {
        Either::Left((Err(error @ NetError::Io(_)), _)) => {
            exchange_over_tcp(question, addr, timeout).await.map_err(|_| error)
        }
        Either::Left((Err(NetError::Timeout), later)) => later.await.map_err(|_| NetError::Timeout),
        Either::Right((Err(_), over_udp)) => over_udp.await,
        Either::Left((answer, _)) | Either::Right((answer, _)) => answer,
    }
}

async fn exchange_over_tcp(question: &Question, addr: SocketAddr, timeout: Duration) -> Result<DnsResponse, NetError> {
    let answer = over_tcp(question.request()?, addr, timeout).await?;
    if answer.truncation {
        return Err(NetError::Message("it is truncated over TCP, too"));
    }
    question.checked(answer)
}

async fn over_udp(request: DnsRequest, addr: SocketAddr, timeout: Duration) -> Result<DnsResponse, NetError> {
    let builder = UdpClientStream::builder(addr, TokioRuntimeProvider::new()).with_timeout(Some(timeout));
    let mut stream = builder.build();
    stream.send_message(request).next().await.unwrap_or(Err(NetError::Timeout))
}

async fn over_tcp(request: DnsRequest, addr: SocketAddr, timeout: Duration) -> Result<DnsResponse, NetError> {
    let (stream, sender) = TcpClientStream::new(addr, None, Some(timeout), TokioRuntimeProvider::new());
    let multiplexer = DnsMultiplexer::new(stream.await?, sender).with_timeout(timeout);
    let (client, background) = Client::<TokioRuntimeProvider>::from_sender(multiplexer);
    let mut answers = client.send(request);
    // The background is what moves the bytes; when it is done, what there is of an answer has come.
    let answer = match select(answers.next(), background).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), answer)) => answer.await,
    };
    answer.unwrap_or(Err(NetError::Timeout))
}

/// What a server calls itself (NSID, RFC 5001), if it does.
pub(crate) fn nsid(answer: &DnsResponse) -> Option<String> {
    let nsid = answer.edns.as_ref().and_then(|edns| match edns.option(EdnsCode::NSID)? {
        EdnsOption::NSID(payload) => Some(String::from_utf8_lossy(payload.as_ref()).into_owned()),
        _ => None,
    });
    nsid.filter(|nsid| !nsid.is_empty())
}
