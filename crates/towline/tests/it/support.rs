//! What the tests share.

use towline::{Config, Connection};

use crate::ends::connections;

/// A server's and a client's end of one connection, over a pipe in memory.
pub(crate) fn pair(server: &Config, client: &Config) -> (Connection, Connection) {
    pair_with_pipe(server, client, 64 << 10)
}

/// The same, over a pipe that holds so many bytes in each direction.
pub(crate) fn pair_with_pipe(
    server: &Config,
    client: &Config,
    bytes: usize,
) -> (Connection, Connection) {
    let (at_server, at_client) = tokio::io::duplex(bytes);
    connections(at_server, at_client, server, client)
}
