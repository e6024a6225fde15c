//! What several tests share.

pub mod guest;
