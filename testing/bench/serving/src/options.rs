//! The command line of every server.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Serves echoes until it is ended, on one thread if not told otherwise.
///
/// The first line it prints is `listening ADDRESS`.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// Where to listen; port 0 is any that is free
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// How the library is used, where there are several ways
    #[arg(long, default_value = "plain")]
    pub mode: String,

    /// The size of the messages to come, for servers that are tuned to it
    #[arg(long, default_value_t = 32)]
    pub message_size: usize,

    /// How many messages a client has in flight, for servers that are tuned to it
    #[arg(long, default_value_t = 1)]
    pub in_flight: usize,

    /// Agree to permessage-deflate, at zlib's default level 6, for messages of any size; libraries
    /// that have none leave it out
    #[arg(long)]
    pub compress: bool,

    /// And to context takeover in both directions, with windows of 15 bits; without this, to none
    #[arg(long, requires = "compress")]
    pub takeover: bool,

    /// On how many threads to serve: workers of one runtime
    #[arg(long, default_value_t = 1)]
    pub threads: usize,

    /// Give each thread a runtime and a listening socket of its own, on the same port
    #[arg(long)]
    pub apart: bool,

    /// How long a peer may be silent before it is asked whether it is there, in seconds; for
    /// servers of which that is measured
    #[arg(long)]
    pub keepalive: Option<f64>,

    /// Speak TLS, with `chain.pem` and `key.pem` of this directory
    #[arg(long, value_name = "DIRECTORY")]
    pub tls: Option<PathBuf>,

    /// Measure how long tasks have to wait for their turn, and answer about it on a port of its
    /// own: the first line has `, probe ADDRESS` after it
    #[arg(long, conflicts_with = "apart")]
    pub probe: bool,

    /// Say why connections end
    #[arg(long)]
    pub verbose: bool,
}

impl Options {
    /// The largest message and the largest frame that any server receives.
    pub const LARGEST: usize = 16 << 20;

    /// A receive buffer that holds what a client has in flight, within these bounds.
    pub fn receive_buffer(&self, least: usize, most: usize) -> usize {
        (self.message_size + 14).saturating_mul(self.in_flight).clamp(least, most)
    }
}
