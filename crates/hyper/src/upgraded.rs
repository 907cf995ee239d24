//! The stream out of hyper's hands.

use std::io;

use hyper::rt::{Read, Write};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use towline::TlsStream;

use crate::ahead::Ahead;

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

/// A socket, or a TLS stream of Towline's, where there is one to be found. It does away with a box, a
/// virtual call for every read and write, and the lock between the halves of a stream that can't be
/// taken apart.
///
/// Any other stream stays in hyper's wrapper, which gives out first what was read already.
fn take_out(upgraded: Upgraded) -> towline::Upgraded {
    let upgraded = match socket::<TcpStream>(upgraded) {
        Ok(socket) => return socket,
        Err(upgraded) => upgraded,
    };
    let upgraded = match socket::<TlsStream>(upgraded) {
        Ok(socket) => return socket,
        Err(upgraded) => upgraded,
    };
    let upgraded = match downcast::<Ahead>(upgraded) {
        // What was read ahead is given out before the stream is read, so the rest is behind it.
        Ok((ahead, mut early)) => {
            let (rest, stream) = ahead.into_parts();
            early.extend(rest);
            return towline::Upgraded::new(stream, early);
        }
        Err(upgraded) => upgraded,
    };
    #[cfg(unix)]
    let upgraded = match socket::<UnixStream>(upgraded) {
        Ok(socket) => return socket,
        Err(upgraded) => upgraded,
    };
    towline::Upgraded::new(TokioIo::new(upgraded), Vec::new())
}

fn socket<S: towline::Io>(upgraded: Upgraded) -> Result<towline::Upgraded, Upgraded>
where
    TokioIo<S>: Read + Write,
{
    downcast::<S>(upgraded).map(|(stream, early)| towline::Upgraded::new(stream, early))
}

/// The stream, and what was read from it, as a connection of hyper has it, or as one of hyper-util's
/// `auto` does.
fn downcast<S: towline::Io>(upgraded: Upgraded) -> Result<(S, Vec<u8>), Upgraded>
where
    TokioIo<S>: Read + Write,
{
    match upgraded.downcast::<TokioIo<S>>() {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf.into())),
        Err(upgraded) => auto::upgrade::downcast::<TokioIo<S>>(upgraded)
            .map(|parts| (parts.io.into_inner(), parts.read_buf.into())),
    }
}
