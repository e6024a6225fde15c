//! What the integration tests share: real servers, a hand at a zone, faults on the way, and the arbiters' conformance suite.

pub mod agents;
pub mod binary;
pub mod conformance;
pub mod counter;
pub mod dns_client;
pub mod hand;
pub mod probe;
pub mod relay;
pub mod scene;
pub mod served;
pub mod servers;
pub mod toy;
