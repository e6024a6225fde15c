//! Real DNS servers for tests: each a primary of [`ZONE`] on a loopback port of its own, in a directory of its own, gone
//! with the value that stands for it.

pub mod bind;
mod embedded;
mod knot;
mod powerdns;
mod process;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use hickory_proto::rr::{Name, RData, RecordType};
use soloist::arbiter::rfc2136;
use soloist::arbiter::tsig::{Algorithm, Key};

pub use self::powerdns::{Api, PowerDns};
pub use self::process::Process;
pub(crate) use self::process::find;
use crate::hand::{Hand, name};
use crate::netns::Place;

/// The zone that every test server is the primary of.
pub const ZONE: &str = "example.test";

/// A name in the zone that is an alias.
pub const ALIAS: &str = "alias.example.test";

/// The name that says which server it is: so that a port which another one took first is noticed.
const INSTANCE: &str = "instance.example.test";

/// How long a server may take to answer.
const START: Duration = Duration::from_secs(30);

/// The port of a server that has a place of its own.
const PORT: u16 = 53;

/// How often a server is started at another port.
const ATTEMPTS: usize = 5;

/// The server programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// BIND 9.
    Bind,
    /// Knot DNS.
    Knot,
    /// PowerDNS on SQLite.
    PowerDns,
    /// Our own, in this process.
    Embedded,
}

/// A primary of [`ZONE`].
#[async_trait]
pub trait TestServer: Send + Sync {
    /// Where it answers, over UDP and TCP.
    fn address(&self) -> SocketAddr;

    /// The key that may change TXT records.
    fn key(&self) -> &Key;

    /// A key that the server knows and that may change nothing, where the server has such keys.
    fn stranger(&self) -> Option<&Key>;

    /// Kills the server and starts it again at the same address with what it had kept.
    async fn restart(&mut self) -> Result<()>;

    /// Its process, unless it is this one.
    fn process(&self) -> Option<&Process>;

    /// The zone's name.
    fn zone(&self) -> Name {
        name(ZONE)
    }

    /// A hand at the zone.
    fn hand(&self) -> Hand {
        Hand { server: self.address(), zone: self.zone(), key: self.key().clone() }
    }

    /// What an arbiter of a record at this server needs, with a time-out for busy machines.
    fn options(&self, record: &str) -> rfc2136::Options {
        rfc2136::Options {
            server: self.address().to_string(),
            zone: self.zone(),
            record: name(record),
            key: self.key().clone(),
            ttl: rfc2136::DEFAULT_TTL,
            timeout: Duration::from_secs(10),
        }
    }
}

/// Starts a server and waits until it answers.
///
/// # Errors
/// The program is missing or does not answer; its log is in the error.
pub async fn start(kind: Kind, algorithm: Algorithm) -> Result<Box<dyn TestServer>> {
    Ok(match kind {
        Kind::Bind => Box::new(bind::Bind::start(algorithm).await?),
        Kind::Knot => Box::new(knot::Knot::start(algorithm, None).await?),
        Kind::PowerDns => Box::new(powerdns::PowerDns::start(algorithm).await?),
        Kind::Embedded => Box::new(embedded::Embedded::start(algorithm).await?),
    })
}

/// Starts a server program at this place of a network, and waits until it answers.
///
/// # Errors
/// The program is missing or does not answer; its log is in the error.
///
/// # Panics
/// For PowerDNS, and for the embedded server, which is where this process is.
pub async fn start_at(kind: Kind, place: &Place) -> Result<Box<dyn TestServer>> {
    Ok(match kind {
        Kind::Bind => Box::new(bind::Bind::start_at(place, bind::Disk::Ample).await?),
        Kind::Knot => Box::new(knot::Knot::start(Algorithm::default(), Some(place)).await?),
        Kind::PowerDns | Kind::Embedded => unreachable!("{kind:?} is started where this process is"),
    })
}

/// The command that becomes this program, there.
fn launch(program: &Path, place: Option<&Place>) -> Command {
    place.map_or_else(|| Command::new(program), |place| place.command(program))
}

/// The two keys of a server: the one that may write, and the stranger.
fn keys(algorithm: Algorithm) -> Result<(Key, Key)> {
    Ok((Key::generate("soloist", algorithm)?, Key::generate("stranger", algorithm)?))
}

/// The zone as a file, with a token that tells this server from any other. Its name server is the one at this place.
fn zone_file(token: &str, place: Option<&Place>) -> String {
    let address = place.map_or(Ipv4Addr::LOCALHOST, Place::address);
    format!(
        "$ORIGIN {ZONE}.\n$TTL 60\n\
         @ SOA ns hostmaster 1 3600 600 604800 5\n\
         @ NS ns\n\
         ns A {address}\n\
         alias CNAME ns\n\
         instance TXT \"{token}\"\n"
    )
}

/// A port on loopback that nobody uses, for UDP and TCP. Somebody may take it before the server does.
fn free_port() -> Result<SocketAddr> {
    for _ in 0..100 {
        let tcp = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = tcp.local_addr()?;
        if std::net::UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port is free for both UDP and TCP")
}

/// Starts a server program at a free port; at another one if somebody else was faster. Who has a place of its own has
/// all ports.
async fn start_program(
    spawn: impl Fn(SocketAddr) -> Result<Process>,
    place: Option<&Place>,
    token: &str,
) -> Result<(SocketAddr, Process)> {
    let mut attempt = 1;
    loop {
        let address = match place {
            Some(place) => SocketAddr::from((place.address(), PORT)),
            None => free_port()?,
        };
        let mut process = spawn(address)?;
        match answers(address, token, &mut process).await {
            Ok(()) => return Ok((address, process)),
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}

/// Waits until the server with this token answers there.
async fn answers(address: SocketAddr, token: &str, process: &mut Process) -> Result<()> {
    let hand = Hand { server: address, zone: name(ZONE), key: Key::generate("nobody", Algorithm::default())? };
    let asking = async {
        loop {
            if let Some(status) = process.ended()? {
                bail!("the server ended ({status})");
            }
            let answer = hand.ask(&name(INSTANCE), RecordType::TXT).await;
            let is_it = |data: &RData| matches!(data, RData::TXT(txt) if txt.txt_data.concat() == token.as_bytes());
            match answer {
                Ok(answer) if answer.answers.iter().any(|record| is_it(&record.data)) => return Ok(()),
                Ok(answer) if !answer.answers.is_empty() => bail!("another server answers at {address}"),
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let outcome = tokio::time::timeout(START, asking).await.context("the server does not answer");
    outcome.and_then(|result| result).with_context(|| process.log())
}

/// A token that no other server has: as good as its temporary directory's name.
fn token(directory: &Path) -> Result<String> {
    let token = directory.file_name().and_then(|name| name.to_str()).context("the directory has no name")?;
    Ok(token.to_owned())
}
