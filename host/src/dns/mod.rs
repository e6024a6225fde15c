//! DNS itself: asking a zone's servers directly, asking the system's resolvers, and the embedded authoritative server.

pub(crate) mod exchange;
pub mod query;
pub mod resolvers;
pub mod server;
