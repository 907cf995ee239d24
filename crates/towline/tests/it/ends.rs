//! The two ends of a connection, on streams as they are. The tests in tests/tls have another of this.

use bytes::Bytes;
use towline::{Config, Connection, Io, Role};

/// A server's connection on one stream, and a client's on another.
pub(crate) fn connections(
    at_server: impl Io,
    at_client: impl Io,
    server: &Config,
    client: &Config,
) -> (Connection, Connection) {
    (
        Connection::from_stream(at_server, Role::Server, server, Bytes::new()),
        Connection::from_stream(at_client, Role::Client, client, Bytes::new()),
    )
}
