//! DNS itself: asking a zone's servers directly, and the embedded authoritative server.

pub mod query;
pub mod server;
