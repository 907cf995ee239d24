//! A client's connection on a stream that hyper's client has upgraded.

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use towline::{Agreed, Config, Connection, TlsStream};

use crate::upgraded::downcast;

/// Creates a client's connection on a stream that hyper's client, or a client on hyper, has upgraded:
/// [`Connection::from_agreed`] for hyper.
///
/// A TCP stream and a [`TlsStream`] are taken out of hyper's wrapper, if they were passed to hyper in a
/// `hyper_util::rt::TokioIo`. The connection then costs no more than one of
/// [`towline::Client`].
///
/// ```
/// use http_body_util::Empty;
/// use hyper::body::Bytes;
/// use hyper::client::conn::http1::SendRequest;
/// use towline::{Config, Connect, Connection};
///
/// async fn connect(
///     client: &mut SendRequest<Empty<Bytes>>,
/// ) -> Result<Connection, Box<dyn std::error::Error>> {
///     let config = Config::client();
///     let opening = Connect::new()
///         .protocols(["chat.v2"])
///         .compression(config.negotiable_compression())
///         .open(&"ws://example.com/feed".parse()?)?;
///     let request = opening.request().clone().map(|()| Empty::new());
///     let mut response = client.send_request(request).await?;
///     let agreed = opening.verify(&response)?;
///     let upgraded = hyper::upgrade::on(&mut response).await?;
///     Ok(towline_hyper::from_agreed(upgraded, agreed, &config))
/// }
/// ```
///
/// # Panics
///
/// Panics outside of a tokio runtime, or in one without time.
pub fn from_agreed(upgraded: Upgraded, agreed: Agreed, config: &Config) -> Connection {
    let upgraded = match downcast::<TcpStream>(upgraded) {
        Ok((tcp, early)) => return Connection::from_agreed(tcp, agreed, config, early.into()),
        Err(upgraded) => upgraded,
    };
    match downcast::<TlsStream>(upgraded) {
        Ok((tls, early)) => Connection::from_agreed(tls, agreed, config, early.into()),
        Err(upgraded) => {
            Connection::from_agreed(TokioIo::new(upgraded), agreed, config, Vec::new().into())
        }
    }
}
