//! What the integration tests share: real servers, a hand at a zone, faults on the way, and the arbiters' conformance suite.

pub mod binary;
pub mod conformance;
pub mod dns_client;
pub mod fake;
pub mod hand;
pub mod relay;
pub mod served;
pub mod servers;
