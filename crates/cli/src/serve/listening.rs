//! The listening sockets: of one server, or of one on each thread.

use std::io;
use std::net::{SocketAddr, TcpListener};

use tokio::net::{TcpSocket, lookup_host};

use crate::exit::{Exit, Failure};

/// So many clients may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Listens on all addresses: once, or as often as there are threads, which share the ports then.
/// Returns the addresses, and the sockets of each thread.
pub(crate) async fn bind(
    addresses: &[String],
    threads: Option<usize>,
) -> Result<(Vec<SocketAddr>, Vec<Vec<TcpListener>>), Failure> {
    let mut bound = Vec::new();
    let mut sockets: Vec<Vec<TcpListener>> = Vec::new();
    sockets.resize_with(threads.unwrap_or(1), Vec::new);
    for address in addresses {
        let unable = |error| unable(address, &error);
        let mut known = None;
        for of_one in &mut sockets {
            let socket = match known {
                None => first(address, threads.is_some()).await.map_err(unable)?,
                // The port is chosen, if it was to be.
                Some(known) => listen(known, true).map_err(unable)?,
            };
            known = Some(socket.local_addr().map_err(unable)?);
            of_one.push(socket);
        }
        bound.extend(known);
    }
    Ok((bound, sockets))
}

/// The first of the addresses that a name stands for and that can be listened on.
async fn first(name: &str, shared: bool) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name stands for no address");
    for address in lookup_host(name).await? {
        match listen(address, shared) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if shared {
        share_port(&socket)?;
    }
    // So that it can be started again at once; elsewhere it would take ports away from others.
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

#[cfg(all(unix, not(any(target_os = "illumos", target_os = "solaris"))))]
fn share_port(socket: &TcpSocket) -> io::Result<()> {
    socket.set_reuseport(true)
}

#[cfg(not(all(unix, not(any(target_os = "illumos", target_os = "solaris")))))]
fn share_port(_: &TcpSocket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "--threads can't share a port on this system"))
}

fn unable(address: &str, error: &io::Error) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program listens there: choose another port with --listen, or 0 for any"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 may need privileges",
        _ => "",
    };
    Failure::new(Exit::NoConnection, format!("can't listen on {address}: {error}{hint}"))
}
