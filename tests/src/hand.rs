//! A hand at a zone: asks and changes it on no condition, and shares no code with the arbiter under test but the key.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, rdata::TXT};
use soloist::arbiter::tsig::Key;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whoever may change a zone.
#[derive(Debug, Clone)]
pub struct Hand {
    /// The zone's primary.
    pub server: SocketAddr,
    /// The zone.
    pub zone: Name,
    /// A key that may change it.
    pub key: Key,
}

impl Hand {
    /// Asks for the records at a name.
    pub async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message> {
        let mut message = Message::query();
        message.add_query(Query::query(name.clone(), kind));
        self.exchange(&message).await
    }

    /// The TXT records at a name.
    pub async fn txt(&self, name: &Name) -> Result<Vec<TXT>> {
        let answer = self.ask(name, RecordType::TXT).await?;
        let txt = |record: Record| if let RData::TXT(txt) = record.data { Some(txt) } else { None };
        Ok(answer.answers.into_iter().filter_map(txt).collect())
    }

    /// Puts TXT records, each with its strings, in place of those at a name.
    pub async fn overwrite_txt(&self, name: &Name, records: &[&[&[u8]]]) -> Result<()> {
        let mut update = self.update();
        let mut delete = Record::update0(name.clone(), 0, RecordType::TXT);
        delete.dns_class = DNSClass::ANY;
        update.add_authority(delete);
        for strings in records {
            let data = RData::TXT(TXT::from_bytes(strings.to_vec()));
            update.add_authority(Record::from_rdata(name.clone(), 60, data));
        }
        self.apply(update).await
    }

    /// Adds records at a name.
    pub async fn add(&self, name: &Name, records: Vec<RData>) -> Result<()> {
        let mut update = self.update();
        for data in records {
            update.add_authority(Record::from_rdata(name.clone(), 60, data));
        }
        self.apply(update).await
    }

    fn update(&self) -> Message {
        let mut message = Message::query();
        message.metadata.op_code = OpCode::Update;
        message.add_query(Query::query(self.zone.clone(), RecordType::SOA));
        message
    }

    async fn apply(&self, mut update: Message) -> Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        update.finalize(&self.key.signer(), now)?;
        let answer = self.exchange(&update).await?;
        ensure!(answer.response_code == ResponseCode::NoError, "the server says {}", answer.response_code);
        Ok(())
    }

    async fn exchange(&self, message: &Message) -> Result<Message> {
        let exchange = async {
            let mut stream = TcpStream::connect(self.server).await?;
            write_message(&mut stream, &message.to_vec()?).await?;
            let answer = read_message(&mut stream).await?.context("the server hung up")?;
            Ok(Message::from_vec(&answer)?)
        };
        tokio::time::timeout(PATIENCE, exchange).await.context("the server does not answer")?
    }
}

/// A name, absolute. Tests name things that are names.
pub fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap_or_else(|error| unreachable!("`{text}` is no name: {error}"));
    name.set_fqdn(true);
    name
}

/// Reads one message from a stream (RFC 1035, section 4.2.2); none where it ends.
pub async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u16().await {
        Ok(length) => length,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}

/// Writes one message to a stream.
pub async fn write_message(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    let framed: Vec<u8> = length.to_be_bytes().into_iter().chain(message.iter().copied()).collect();
    stream.write_all(&framed).await
}
