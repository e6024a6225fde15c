//! What several tests share.

pub mod binary;
pub mod guest;
