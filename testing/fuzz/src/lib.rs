//! What the fuzzers check, apart from the fuzzer, so that an ordinary test can replay an input.
//!
//! Each module is a target: `run` takes any bytes, and panics if a property does not hold.

pub mod settings;

pub mod wire;

pub mod frames;

pub mod pieces;

pub mod differential;

pub mod inflate;

pub mod pair;

pub mod head;

pub mod headers;

pub mod handshake;

pub mod response;

pub mod transport;

pub mod connection;

pub mod streams;

pub mod serve;

pub mod border;

/// A target: its name, and what takes its inputs.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, by the names of their programs and of their folders in `corpus`.
pub const TARGETS: [Target; 13] = [
    ("frames", frames::run),
    ("pieces", pieces::run),
    ("differential", differential::run),
    ("inflate", inflate::run),
    ("pair", pair::run),
    ("head", head::run),
    ("headers", headers::run),
    ("handshake", handshake::run),
    ("response", response::run),
    ("connection", connection::run),
    ("streams", streams::run),
    ("serve", serve::run),
    ("border", border::run),
];
