//! The command line of every server.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Echoes, or fans out, until the process ends, by default on one thread.
///
/// The first line of output is `listening ADDRESS`.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// The address to listen on; with port 0, the system chooses a port
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// The use of the library, if there are several
    #[arg(long, default_value = "plain")]
    pub mode: String,

    /// The size of the messages, for servers that are tuned to it
    #[arg(long, default_value_t = 32)]
    pub message_size: usize,

    /// The number of messages in flight of a client, for servers that are tuned to it
    #[arg(long, default_value_t = 1)]
    pub in_flight: usize,

    /// Accept permessage-deflate, at zlib's default level 6, for messages of any size; libraries without
    /// compression ignore it
    #[arg(long)]
    pub compress: bool,

    /// Accept context takeover in both directions, with windows of 15 bits [default: in neither]
    #[arg(long, requires = "compress")]
    pub takeover: bool,

    /// Fan out instead of echoing. A connection whose request has the path `/join/TOPIC` is sent the text
    /// `joined`, and then every message of each connection with the path `/publish/TOPIC`
    #[arg(long, conflicts_with = "tls")]
    pub fanout: bool,

    /// The number of threads: workers of one runtime
    #[arg(long, default_value_t = 1)]
    pub threads: usize,

    /// Give each thread its own runtime and listening socket, on the same port
    #[arg(long)]
    pub apart: bool,

    /// The silence of a peer in seconds before it is pinged, for servers whose keepalive is measured
    #[arg(long)]
    pub keepalive: Option<f64>,

    /// Use TLS, with `chain.pem` and `key.pem` of this directory
    #[arg(long, value_name = "DIRECTORY")]
    pub tls: Option<PathBuf>,

    /// Measure how long tasks wait for their turn, and serve the results on a separate port: the first
    /// line of output ends in `, probe ADDRESS`
    #[arg(long, conflicts_with = "apart")]
    pub probe: bool,

    /// Print why connections end
    #[arg(long)]
    pub verbose: bool,
}

impl Options {
    /// The largest message and frame that the servers receive, in bytes.
    pub const LARGEST: usize = 16 << 20;

    /// Returns the size of a receive buffer for all messages in flight, within these bounds.
    pub fn receive_buffer(&self, least: usize, most: usize) -> usize {
        (self.message_size + 14).saturating_mul(self.in_flight).clamp(least, most)
    }
}
