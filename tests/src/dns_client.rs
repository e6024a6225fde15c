//! A signing DNS client over UDP or TCP, and single messages as bytes, for the tests of servers.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_net::NetError;
use hickory_net::client::{Client, ClientHandle};
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::tcp::TcpClientStream;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::DnsMultiplexer;
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordSet, RecordType};
use hickory_proto::serialize::binary::BinEncodable;
use soloist::arbiter::tsig::Key;
use tokio::net::UdpSocket;

/// A patient client's deadline: no test is about time.
const TIMEOUT: Duration = Duration::from_secs(20);

type Handle = Client<TokioRuntimeProvider>;

/// A client over TCP.
///
/// # Panics
/// The server cannot be reached.
pub async fn tcp(addr: SocketAddr, key: Option<&Key>) -> Handle {
    let (stream, sender) = TcpClientStream::new(addr, None, None, TokioRuntimeProvider::new());
    let stream = stream.await.expect("the server takes a connection");
    let mut multiplexer = DnsMultiplexer::new(stream, sender).with_timeout(TIMEOUT);
    if let Some(key) = key {
        multiplexer = multiplexer.with_signer(key.signer());
    }
    let (client, background) = Client::from_sender(multiplexer);
    tokio::spawn(background);
    client
}

/// A client over UDP. It sends again what is not answered within a third of a second.
pub fn udp(addr: SocketAddr, key: Option<&Key>) -> Handle {
    let builder = UdpClientStream::builder(addr, TokioRuntimeProvider::new());
    let stream = builder.with_timeout(Some(TIMEOUT)).with_signer(key.map(Key::signer)).build();
    let (client, background) = Client::from_sender(stream);
    tokio::spawn(background);
    client
}

/// An absolute name.
///
/// # Panics
/// It is none.
pub fn name(text: &str) -> Name {
    let mut name: Name = text.parse().expect("a domain name");
    name.set_fqdn(true);
    name
}

/// A TXT RRset of one record of one string.
pub fn txt(owner: &Name, text: &str) -> RecordSet {
    let mut set = RecordSet::with_ttl(owner.clone(), RecordType::TXT, 5);
    set.insert(Record::from_rdata(owner.clone(), 5, RData::TXT(TXT::from_bytes(vec![text.as_bytes()]))), 0);
    set
}

/// Replaces `current` by `new` if it still is what stands there.
///
/// # Errors
/// There is no answer.
pub async fn swap(
    client: &mut Handle,
    zone: &Name,
    current: RecordSet,
    new: RecordSet,
) -> Result<ResponseCode, NetError> {
    Ok(client.compare_and_swap(current, new, zone.clone()).await?.response_code)
}

/// Adds an RRset where there is none of its name and type.
///
/// # Errors
/// There is no answer.
pub async fn create(client: &mut Handle, zone: &Name, new: RecordSet) -> Result<ResponseCode, NetError> {
    Ok(client.create(new, zone.clone()).await?.response_code)
}

/// An update that adds these records on no condition, unsigned.
pub fn update(zone: &Name, records: impl IntoIterator<Item = Record>) -> Message {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    let mut query = Query::query(zone.clone(), RecordType::SOA);
    query.set_query_class(DNSClass::IN);
    message.add_query(query);
    message.add_authorities(records);
    message
}

/// The bytes of a message, signed with a key at a time in seconds since the Unix epoch, or unsigned.
///
/// # Panics
/// It cannot be encoded.
pub fn encode(mut message: Message, key: Option<(&Key, u64)>) -> Vec<u8> {
    if let Some((key, time)) = key {
        message.finalize(&key.signer(), time).expect("a message can be signed");
    }
    message.to_bytes().expect("a message can be encoded")
}

/// Sends bytes over UDP, again and again until there is an answer to them.
///
/// # Panics
/// There is no answer.
pub async fn exchange(socket: &UdpSocket, bytes: &[u8]) -> Message {
    let mut buffer = vec![0; 4096];
    for _ in 0..20 {
        socket.send(bytes).await.expect("UDP can be sent");
        while let Ok(received) = tokio::time::timeout(Duration::from_secs(1), socket.recv(&mut buffer)).await {
            let length = received.expect("UDP can be received");
            let answer = Message::from_vec(&buffer[..length]).expect("the answer is a message");
            if answer.id.to_be_bytes() == bytes[..2] {
                return answer;
            }
        }
    }
    panic!("no answer");
}
