//! What the integration tests share.

pub mod binary;
pub mod dns_client;
pub mod served;
pub mod toy;
