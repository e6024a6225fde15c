//! The targets: each takes any bytes, and panics if what it feeds breaks its promise.

pub mod clock;
pub mod contender;
pub mod dns_query;
pub mod dns_update;
pub mod record;
pub mod schedule;
pub mod seal;
pub mod tsig_key;
pub mod zone_journal;
pub mod zone_update;

/// A target's name, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Target] = &[
    ("clock", clock::run),
    ("contender", contender::run),
    ("dns_query", dns_query::run),
    ("dns_update", dns_update::run),
    ("record", record::run),
    ("schedule", schedule::run),
    ("seal", seal::run),
    ("tsig_key", tsig_key::run),
    ("zone_journal", zone_journal::run),
    ("zone_update", zone_update::run),
];
