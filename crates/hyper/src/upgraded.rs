//! Takes the stream out of hyper.

use std::io;

use hyper::rt::{Read, Write};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use towline::{Broken, TlsStream};

use crate::ahead::Ahead;
use crate::h2_stream::H2Stream;
use crate::http2_executor::InUse;

/// Waits for hyper to release the stream, and returns it with the bytes read after the request. A stream
/// of HTTP/2 gets an `InUse`, and from an `HttpServer` a `Broken`.
pub(crate) async fn upgraded(
    on_upgrade: OnUpgrade,
    in_use: Option<InUse>,
    broken: Option<Broken>,
) -> io::Result<towline::Upgraded> {
    match on_upgrade.await {
        Ok(upgraded) => Ok(match in_use {
            Some(in_use) => {
                towline::Upgraded::new(H2Stream::new(upgraded, in_use, broken), Vec::new())
            }
            None => take_out(upgraded),
        }),
        Err(error) if error.is_user() => Err(io::Error::other(format!(
            "{error}; hyper must serve the connection with upgrades (`with_upgrades`, \
             `serve_connection_with_upgrades`)"
        ))),
        Err(error) => Err(io::Error::new(io::ErrorKind::BrokenPipe, error)),
    }
}

/// Takes out a socket, or a TLS stream of Towline, if there is one. That saves a box, a virtual
/// call for every read and write, and a lock between the halves of the stream.
///
/// Any other stream stays in hyper's wrapper, which first returns the bytes read already.
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
        // The bytes read ahead are returned before the stream is read, so the rest comes after
        // them.
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

/// Returns the stream and the bytes read from it, for a connection of hyper or of hyper-util's
/// `auto`.
pub(crate) fn downcast<S: towline::Io>(upgraded: Upgraded) -> Result<(S, Vec<u8>), Upgraded>
where
    TokioIo<S>: Read + Write,
{
    match upgraded.downcast::<TokioIo<S>>() {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf.into())),
        Err(upgraded) => auto::upgrade::downcast::<TokioIo<S>>(upgraded)
            .map(|parts| (parts.io.into_inner(), parts.read_buf.into())),
    }
}
