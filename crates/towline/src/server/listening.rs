//! Listening sockets.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, ToSocketAddrs, lookup_host};

/// So many may wait to be accepted, as with [`TcpListener::bind`].
const BACKLOG: u32 = 1024;

/// Listens on the first of the addresses that can be listened on. If `shared`, others may listen
/// there too that say the same.
pub(crate) async fn bind(address: impl ToSocketAddrs, shared: bool) -> io::Result<TcpListener> {
    if !shared {
        return TcpListener::bind(address).await;
    }
    let mut failed = None;
    for address in lookup_host(address).await? {
        match bind_shared(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the name stands for no address")
    }))
}

fn bind_shared(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    share_port(&socket)?;
    // As `TcpListener::bind` does, so that a server can be started again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(all(unix, not(any(target_os = "illumos", target_os = "solaris"))))]
fn share_port(socket: &TcpSocket) -> io::Result<()> {
    socket.set_reuseport(true)
}

#[cfg(not(all(unix, not(any(target_os = "illumos", target_os = "solaris")))))]
fn share_port(_: &TcpSocket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "ports can't be shared on this system"))
}
