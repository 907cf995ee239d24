//! (being built)

pub mod handshake;
