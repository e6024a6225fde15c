//! What several integration tests share.

pub mod binary;
pub mod dns_client;
pub mod served;
