//! The two ends of a connection, on streams as they are. The tests in tests/tls have another of this.

use bytes::Bytes;
use towline::{Client, Config, Connection, Io, Role, Server, ServerBuilder};

/// What the URLs of servers begin with.
pub(crate) const SCHEME: &str = "ws";

/// What becomes a server.
pub(crate) fn server() -> ServerBuilder {
    Server::builder()
}

/// Who connects to it.
pub(crate) fn client() -> Client {
    Client::new()
}

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
