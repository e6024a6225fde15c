//! The files of the host's `dns` that judge bytes, without those that own sockets.

pub mod server;
