//! Why there is no embedded server, in words that name what to look at.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::limits::MAX_NSID_BYTES;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The zone's name cannot be served.
    #[error("`{0}` is no name of a zone that can be served")]
    Zone(String),
    /// There is no key, or two of one name.
    #[error("a server needs keys of different names, and `{0}` keys were given")]
    Keys(usize),
    /// The NSID is too long.
    #[error("the server's identifier has {0} bytes, and {MAX_NSID_BYTES} is the most")]
    Nsid(usize),
    /// An address cannot be listened on.
    #[error("cannot listen on `{addr}` over {protocol}")]
    Listen {
        /// Which address.
        addr: SocketAddr,
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// No address was given.
    #[error("there is no address to listen on")]
    NoAddress,
    /// The directory of the zone cannot be used.
    #[error("cannot {doing} `{path}`")]
    Data {
        /// What was tried.
        doing: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// Another server has the directory.
    #[error("another server is running on the directory `{0}`")]
    InUse(PathBuf),
    /// The directory holds another zone.
    #[error("the directory `{path}` holds the zone `{found}`, not `{wanted}`")]
    OtherZone {
        /// The directory.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What was to be served.
        wanted: String,
    },
    /// The journal is damaged.
    #[error("the zone's journal `{path}` is damaged at byte {offset}: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the entry begins that cannot be read.
        offset: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A socket failed while the server was running.
    #[error("the server's sockets failed: {0}")]
    Sockets(String),
}

impl ServeError {
    pub(super) fn data(doing: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Data { doing, path: path.to_owned(), error }
    }
}
