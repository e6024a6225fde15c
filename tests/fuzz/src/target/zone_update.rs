//! Any messages as updates of the embedded server's zone: what is acknowledged can be kept and read again, and the zone
//! stays one.

use std::sync::LazyLock;

use hickory_proto::op::Message;
use hickory_proto::rr::Name;

use crate::dns::server::Served;

/// The zone.
pub(super) static ORIGIN: LazyLock<Name> = LazyLock::new(|| "a.test.".parse().expect("it is a name"));

/// The most updates of one input.
const MOST: usize = 16;

/// Takes messages, each behind its length in two bytes, one after another.
pub fn run(mut data: &[u8]) {
    let mut served = Served::new(&ORIGIN);
    for _ in 0..MOST {
        let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(u16::from_be_bytes(*length))));
        data = rest;
        if let Ok(message) = Message::from_vec(bytes) {
            let _ = served.update(&message);
        }
    }
}
