//! The listening sockets: of one server, or of one on each thread.

use std::io;
use std::net::{SocketAddr, TcpListener};

use tokio::net::{TcpSocket, lookup_host};

use crate::exit::{Exit, Failure};

/// How many connections the backlog holds.
const BACKLOG: u32 = 1024;

/// Listens on all addresses: once, or once for each thread, which then share the ports. Returns the
/// addresses, and the sockets of each thread. Errors name the `option` that sets the addresses.
pub(crate) async fn bind(
    addresses: &[String],
    threads: Option<usize>,
    option: &str,
) -> Result<(Vec<SocketAddr>, Vec<Vec<TcpListener>>), Failure> {
    let mut bound = Vec::new();
    let mut sockets: Vec<Vec<TcpListener>> = Vec::new();
    sockets.resize_with(threads.unwrap_or(1), Vec::new);
    for address in addresses {
        let unable = |error| unable(address, &error, option);
        let mut known = None;
        for of_one in &mut sockets {
            let socket = match known {
                None => first(address, threads.is_some()).await.map_err(unable)?,
                // Port 0 has been replaced by the chosen port.
                Some(known) => listen(known, true).map_err(unable)?,
            };
            known = Some(socket.local_addr().map_err(unable)?);
            of_one.push(socket);
        }
        bound.extend(known);
    }
    Ok((bound, sockets))
}

/// Returns whether this address can't be listened on since one of these is.
pub(crate) async fn is_taken_by(address: &str, listening: &[SocketAddr]) -> bool {
    let Ok(mut wanted) = lookup_host(address).await else { return false };
    wanted.any(|wanted| {
        let is_same = |other: &SocketAddr| {
            let [ip, other_ip] = [wanted.ip(), other.ip()];
            let overlap = ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified();
            wanted.port() == other.port() && overlap
        };
        listening.iter().any(is_same)
    })
}

/// Listens on the first address of a name that works.
async fn first(name: &str, shared: bool) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
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
    // So that the server can be restarted at once. Elsewhere the option would let it take used
    // ports.
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
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "sharing a port (--threads) is not supported on this system",
    ))
}

fn unable(address: &str, error: &io::Error, option: &str) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "; another program listens there: choose another port with {option}, or 0 for a free one"
        ),
        io::ErrorKind::PermissionDenied => "; ports below 1024 may need privileges".to_owned(),
        _ => String::new(),
    };
    Failure::new(Exit::NoConnection, format!("can't listen on {address}: {error}{hint}"))
}
