//! What the integration tests share: real servers and agents, faults on the way, and the arbiters' conformance suite.

pub mod account;
pub mod agents;
pub mod binary;
pub mod calls;
pub mod conformance;
pub mod counter;
pub mod dns_client;
pub mod fake;
pub mod guest;
pub mod hand;
pub mod heartbeat;
pub mod http_relay;
pub mod liar;
pub mod minisign;
pub mod netns;
pub mod probe;
pub mod registry;
pub mod relay;
pub mod scene;
pub mod served;
pub mod servers;
pub mod slack;
pub mod toy;
