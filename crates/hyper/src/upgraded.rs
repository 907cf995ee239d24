//! The stream out of hyper's hands.

use std::io;

use hyper::rt::{Read, Write};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// The stream, once hyper is done with it, and what it has read behind the request.
pub(crate) async fn upgraded(on_upgrade: OnUpgrade) -> io::Result<towline::Upgraded> {
    match on_upgrade.await {
        Ok(upgraded) => Ok(take_out(upgraded)),
        Err(error) if error.is_user() => Err(io::Error::other(format!(
            "{error}; hyper must serve the connection with upgrades (`with_upgrades`, \
             `serve_connection_with_upgrades`)"
        ))),
        Err(error) => Err(io::Error::new(io::ErrorKind::BrokenPipe, error)),
    }
}

/// A socket, where there is one to be found. It does away with a box, a virtual call for every
/// read and write, and the lock between the halves of a stream that can't be taken apart.
///
/// Any other stream stays in hyper's wrapper, which gives out first what was read already.
fn take_out(upgraded: Upgraded) -> towline::Upgraded {
    let upgraded = match socket::<TcpStream>(upgraded) {
        Ok(socket) => return socket,
        Err(upgraded) => upgraded,
    };
    #[cfg(unix)]
    let upgraded = match socket::<UnixStream>(upgraded) {
        Ok(socket) => return socket,
        Err(upgraded) => upgraded,
    };
    towline::Upgraded::new(TokioIo::new(upgraded), Vec::new())
}

/// The socket as a connection of hyper has it, or as one of hyper-util's `auto` does.
fn socket<S: towline::Io>(upgraded: Upgraded) -> Result<towline::Upgraded, Upgraded>
where
    TokioIo<S>: Read + Write,
{
    match upgraded.downcast::<TokioIo<S>>() {
        Ok(parts) => Ok(towline::Upgraded::new(parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => auto::upgrade::downcast::<TokioIo<S>>(upgraded)
            .map(|parts| towline::Upgraded::new(parts.io.into_inner(), parts.read_buf)),
    }
}
