//! How much the embedded server takes and holds.

use std::time::Duration;

/// The most records of a zone.
pub const MAX_RECORDS: usize = 100_000;
/// The most bytes of a zone's records, uncompressed.
pub const MAX_ZONE_BYTES: usize = 64 * 1024 * 1024;
/// The most records at one name.
pub const MAX_RECORDS_AT_NAME: usize = 1024;
/// The most bytes of the records at one name, uncompressed, so that they fit one message.
pub const MAX_BYTES_AT_NAME: usize = 60_000;
/// The longest answer over UDP, in bytes: what crosses every network unfragmented.
pub const MAX_UDP_ANSWER: u16 = 1232;
/// The most updates that wait for their turn.
pub const MAX_WAITING_UPDATES: usize = 1024;
/// How long a TCP connection may ask nothing.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most TCP connections at once. For one more the connection that has asked nothing for the longest time is closed.
pub const MAX_TCP_CONNECTIONS: usize = 16_384;
/// Descriptors that connections leave to the sockets and the files of the zone.
pub(super) const RESERVED_DESCRIPTORS: usize = 32;
/// The longest NSID, in bytes.
pub const MAX_NSID_BYTES: usize = 64;
