//! A module that DNS points at: one TXT record, `source=https://… sha256=…`, that is looked up before each round, so that one write
//! moves the whole fleet at its next round, or back.
//!
//! It is never read from a cache: through the arbiter (and so signed, where the arbiter's zone holds the name), at the server that
//! the configuration names, or at all the zone's authoritative servers, which must agree.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hickory_proto::rr::Name;

use super::Digest;
use super::access::Access;
use super::download::Download;
use super::follow::{Failure, Found};
use super::oci::Pull;
use super::source::{Source, SourceError, Unavailable};
use super::trust::Trust;
use crate::dns::query::{self, Server};

/// The longest value, in bytes.
const MAX_VALUE: usize = 2048;

/// The deadline of one server's answer.
const TIMEOUT: Duration = query::DEFAULT_TIMEOUT;

/// How long a zone's servers are asked before they are looked up again.
const SERVERS_FOR: Duration = Duration::from_mins(10);

/// How much of a value that cannot be read is shown, in characters.
const SHOWN: usize = 120;

/// `dns:NAME`, or `dns://SERVER/NAME` (as in RFC 4501): where the record is, and whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    server: Option<SocketAddr>,
    name: Name,
}

impl Pointer {
    /// Reads what stands behind `dns:`. A server is named by its address, with port 53 by default.
    ///
    /// # Errors
    /// It is no name, or no address.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let refused = |reason: &str| SourceError::Pointer { pointer: format!("dns:{text}"), reason: reason.to_owned() };
        let (server, name) = match text.strip_prefix("//") {
            None => (None, text),
            Some(rest) => {
                let (server, name) = rest.split_once('/').ok_or_else(|| refused("there is no `/NAME`"))?;
                let address = server.parse::<SocketAddr>().ok().or_else(|| {
                    let ip = server.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok()?;
                    Some(SocketAddr::new(ip, 53))
                });
                (Some(address.ok_or_else(|| refused(&format!("`{server}` is no address")))?), name)
            }
        };
        if name.is_empty() || name.contains(['/', '?']) {
            return Err(refused("there is no name"));
        }
        let mut name = Name::from_str(name).map_err(|_| refused(&format!("`{name}` is no domain name")))?;
        name.set_fqdn(true);
        Ok(Self { server, name: name.to_lowercase() })
    }

    /// Where the record is.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The server to ask, where one is named.
    pub const fn server(&self) -> Option<SocketAddr> {
        self.server
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.to_string();
        let name = name.trim_end_matches('.');
        match self.server {
            Some(server) => write!(f, "dns://{server}/{name}"),
            None => write!(f, "dns:{name}"),
        }
    }
}

/// What a pointer says: where the module is, and which one it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointed {
    /// A URL or an image.
    pub source: Source,
    /// Its SHA-256.
    pub digest: Digest,
}

impl Pointed {
    /// Reads the value of the record: `source=…` and `sha256=…`, each once, in any order, with blanks between them.
    ///
    /// A source is a URL or an image, by the rules of the configuration. A file is none: whoever may write the record has no say
    /// in what an agent reads of its own disk. Nor is another pointer.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse(value: &[u8]) -> Result<Self, String> {
        if value.len() > MAX_VALUE {
            return Err(format!("it has {} bytes, and {MAX_VALUE} are the most", value.len()));
        }
        let text = std::str::from_utf8(value).map_err(|_| "it is no text".to_owned())?;
        let (mut source, mut digest) = (None, None);
        for word in text.split_ascii_whitespace() {
            let (key, value) = word.split_once('=').ok_or_else(|| format!("`{}` is no `key=value`", shown(word)))?;
            let place = match key {
                "source" => &mut source,
                "sha256" => &mut digest,
                _ => return Err(format!("`{}` is neither `source` nor `sha256`", shown(key))),
            };
            if place.replace(value).is_some() {
                return Err(format!("there are two of `{key}`"));
            }
        }
        let source = source.ok_or("it has no `source=`")?;
        let digest = digest.ok_or("it has no `sha256=`")?;
        let digest = Digest::parse(digest)
            .ok_or_else(|| format!("`{}` is no SHA-256 digest, which has 64 hexadecimal digits", shown(digest)))?;
        match Source::parse(source, Path::new("")).map_err(|error| error.to_string())? {
            source @ (Source::Url(_) | Source::Oci(_)) => Ok(Self { source, digest }),
            Source::File(_) => Err(format!("`{}` is a file, and DNS names none", shown(source))),
            Source::Pointer(_) => Err(format!("`{}` is a pointer again", shown(source))),
        }
    }
}

/// What somebody else wrote, for people: cut, and without what a terminal would obey.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect()
}

/// The source that is pointed at.
#[derive(Debug)]
enum Inner {
    Url(Download),
    Oci(Box<Pull>),
}

/// A pointer that is followed, again and again.
#[derive(Debug)]
pub(super) struct Aim {
    access: Access,
    pointer: Pointer,
    /// What it said last, and how that is reached.
    at: Option<(Pointed, Inner)>,
    /// The zone's servers, and when they were looked up.
    servers: Option<(Vec<Server>, Instant)>,
}

impl Aim {
    pub(super) fn new(access: &Access, pointer: Pointer) -> Self {
        Self { access: access.clone(), pointer, at: None, servers: None }
    }

    /// Gets the module that is pointed at, unless it is the one that was given last, or the `current` one.
    pub(super) async fn find(&mut self, trust: &Trust, current: Option<Digest>) -> Result<Found<Bytes>, Failure> {
        let pointed = self.look().await?;
        let wanted = pointed.digest;
        trust.allows(wanted)?;
        let is_same = self.at.as_ref().is_some_and(|(at, _)| *at == pointed);
        if current == Some(wanted) {
            if !is_same {
                self.at = None;
            }
            return Ok(if is_same { Found::Same } else { Found::Current(wanted) });
        }
        if !is_same {
            tracing::info!(source = %pointed.source, digest = wanted.short(), "`{}` points elsewhere", self.pointer);
            // Asked from the beginning: that what is there has not changed says nothing of what is wanted now.
            let inner = match &pointed.source {
                Source::Oci(image) => Inner::Oci(Box::new(Pull::new(&self.access, image.clone()))),
                Source::Url(url) => Inner::Url(Download::new(&self.access, url.clone())),
                Source::File(_) | Source::Pointer(_) => {
                    return Err(self.failure("it names no remote source".to_owned()));
                }
            };
            self.at = Some((pointed, inner));
        }
        match &mut self.at {
            Some((_, Inner::Url(url))) => url.find().await,
            Some((_, Inner::Oci(image))) => {
                image.find(&Trust::only(wanted), current).await.map_err(|failure| match failure {
                    Failure::Distrust(distrust) => self.missed(distrust.digest, wanted),
                    failure => failure,
                })
            }
            None => Err(Unavailable::Ending.into()),
        }
    }

    /// The signatures of the module that was given last.
    pub(super) async fn signatures(&mut self) -> Result<Vec<String>, Failure> {
        match &mut self.at {
            Some((_, Inner::Url(url))) => url.signatures().await,
            Some((_, Inner::Oci(image))) => image.signatures().await,
            None => Ok(Vec::new()),
        }
    }

    /// Whether a module is the one that is pointed at.
    pub(super) fn means(&self, digest: Digest) -> Result<(), Failure> {
        match &self.at {
            Some((at, _)) if at.digest != digest => Err(self.missed(digest, at.digest)),
            _ => Ok(()),
        }
    }

    /// The source has another module than the one that is named with it: not yet, or no more, or somebody changed it.
    fn missed(&self, found: Digest, wanted: Digest) -> Failure {
        let source = self.at.as_ref().map(|(at, _)| at.source.to_string()).unwrap_or_default();
        let reason = format!("it names {wanted}, and what is at `{source}` is {found}");
        let hint = "put the module there before the pointer is changed".to_owned();
        Failure::Senseless(Unavailable::Pointer { pointer: self.pointer.to_string(), reason, hint: Some(hint) })
    }

    /// Reads the record.
    async fn look(&mut self) -> Result<Pointed, Failure> {
        let values = match (&self.access.pointer, self.pointer.server) {
            (Some(arbiter), None) => arbiter.read().await.map(|seen| seen.values).map_err(|error| error.to_string()),
            (_, Some(addr)) => at_all(&self.pointer.name, &[Server { name: None, addr }]).await,
            (None, None) => self.at_the_zones_servers().await,
        };
        let values = values.map_err(|reason| Failure::from(self.reason(reason)))?;
        match values.as_slice() {
            [value] => Pointed::parse(value).map_err(|reason| {
                let value = shown(&String::from_utf8_lossy(value));
                self.failure(format!("its TXT record `{value}` cannot be read: {reason}"))
            }),
            [] => Err(self.failure("there is no TXT record".to_owned())),
            many => {
                let list: Vec<String> =
                    many.iter().take(3).map(|value| shown(&String::from_utf8_lossy(value))).collect();
                Err(self.failure(format!("there are {} TXT records and not one: `{}`", many.len(), list.join("`, `"))))
            }
        }
    }

    async fn at_the_zones_servers(&mut self) -> Result<Vec<Vec<u8>>, String> {
        let servers = match &self.servers {
            Some((servers, since)) if since.elapsed() < SERVERS_FOR => servers.clone(),
            _ => {
                let found = query::authoritative_servers(&self.pointer.name).await;
                let (_, servers) = found.map_err(|error| error.to_string())?;
                self.servers = Some((servers.clone(), Instant::now()));
                servers
            }
        };
        let values = at_all(&self.pointer.name, &servers).await;
        if values.is_err() {
            // They may have moved.
            self.servers = None;
        }
        values
    }

    /// What stands there makes no sense.
    fn failure(&self, reason: String) -> Failure {
        Failure::Senseless(self.reason(reason))
    }

    fn reason(&self, reason: String) -> Unavailable {
        let hint = "it holds one TXT record: \"source=https://HOST/FILE.wasm sha256=DIGEST\"".to_owned();
        Unavailable::Pointer { pointer: self.pointer.to_string(), reason, hint: Some(hint) }
    }
}

/// What all servers that answer say. Until a change has reached each of them, it is no change: else an agent would go back and
/// forth with the server that happened to answer.
async fn at_all(name: &Name, servers: &[Server]) -> Result<Vec<Vec<u8>>, String> {
    let mut said: Option<(Server, Vec<Vec<u8>>)> = None;
    let mut failed = None;
    for answer in query::ask_all(name, servers, TIMEOUT).await {
        let server = answer.server;
        match answer.result {
            Ok(seen) if !seen.authoritative => {
                failed = Some(format!("{server}: it does not speak for the zone: its answer is from a cache"));
            }
            Ok(seen) => match &said {
                Some((first, values)) if *values != seen.observation.values => {
                    return Err(format!(
                        "{first} and {server} say different things: a change has not reached all servers yet"
                    ));
                }
                Some(_) => {}
                None => said = Some((server, seen.observation.values)),
            },
            Err(error) => failed = Some(format!("{server}: {error}")),
        }
    }
    match said {
        Some((_, values)) => Ok(values),
        None => Err(failed.unwrap_or_else(|| "there is no server to ask".to_owned())),
    }
}

#[cfg(test)]
mod tests;
