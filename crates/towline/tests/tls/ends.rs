//! The two ends of a connection, with TLS on their streams.

use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Waker};

use bytes::Bytes;
use futures_util::future::join;
use tokio::task::unconstrained;
use towline::{
    Client, Config, Connection, Io, Role, Server, ServerBuilder, Tls, TlsServer, TlsStream,
};

use crate::certificates::Authority;

/// Who the two of them are.
pub(crate) struct Ends {
    pub(crate) server: TlsServer,
    pub(crate) client: Tls,
    pub(crate) authority: Authority,
}

/// Ends for all tests that don't care. Sessions are resumed between them.
pub(crate) static ENDS: LazyLock<Ends> = LazyLock::new(|| {
    let authority = Authority::new("root");
    let server = authority.server(&["localhost", "127.0.0.1"]).server();
    Ends { server, client: authority.trusted(), authority }
});

/// What the URLs of servers begin with.
pub(crate) const SCHEME: &str = "wss";

/// What becomes a server.
pub(crate) fn server() -> ServerBuilder {
    Server::builder().tls(ENDS.server.clone())
}

/// Who connects to it.
pub(crate) fn client() -> Client {
    Client::new().tls(ENDS.client.clone())
}

/// A server's connection on one stream, and a client's on another.
pub(crate) fn connections(
    at_server: impl Io,
    at_client: impl Io,
    server: &Config,
    client: &Config,
) -> (Connection, Connection) {
    let (at_server, at_client) = streams(at_server, at_client);
    (
        Connection::from_stream(at_server, Role::Server, server, Bytes::new()),
        Connection::from_stream(at_client, Role::Client, client, Bytes::new()),
    )
}

/// TLS on the two streams, of which each is the other's far end.
pub(crate) fn streams(at_server: impl Io, at_client: impl Io) -> (TlsStream, TlsStream) {
    let Ends { server, client, .. } = &*ENDS;
    let both = join(server.accept(at_server), client.connect(at_client, "localhost"));
    let (at_server, at_client) = at_once(both);
    (at_server.unwrap(), at_client.unwrap())
}

/// What becomes of a future that waits for nobody but itself.
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(unconstrained(future));
    for _ in 0..1_000_000 {
        if let std::task::Poll::Ready(output) =
            future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            return output;
        }
    }
    panic!("it waits for something else")
}
