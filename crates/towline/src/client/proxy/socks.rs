//! A tunnel through a SOCKS proxy, version 5 (RFC 1928, RFC 1929).
//!
//! Every length is known before it is read, so no byte after the proxy's last reply is consumed.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use towline_proto::handshake::Credentials;

use crate::client::proxy::hop::Hop;
use crate::error::{Error, ErrorKind, Result};

const VERSION: u8 = 5;
/// The version of the username/password sub-negotiation.
const PASSWORD_VERSION: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The destination that the proxy is to connect to.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    Address(SocketAddr),
    /// A name that the proxy looks up.
    Name(String, u16),
}

impl Destination {
    fn words(&self) -> String {
        match self {
            Self::Address(address) => format!("{}, port {}", address.ip(), address.port()),
            Self::Name(name, port) => format!("{name}, port {port}"),
        }
    }

    /// `ATYP DST.ADDR DST.PORT`; `None` if the name is too long.
    fn encode(&self, out: &mut Vec<u8>) -> Option<()> {
        let port = match self {
            Self::Address(address) => {
                match address.ip().to_canonical() {
                    IpAddr::V4(ip) => {
                        out.push(IPV4);
                        out.extend(ip.octets());
                    }
                    IpAddr::V6(ip) => {
                        out.push(IPV6);
                        out.extend(ip.octets());
                    }
                }
                address.port()
            }
            Self::Name(name, port) => {
                out.extend([NAME, u8::try_from(name.len()).ok()?]);
                out.extend(name.as_bytes());
                *port
            }
        };
        out.extend(port.to_be_bytes());
        Some(())
    }
}

/// Asks the proxy at the other end of the stream to connect to this destination. Then the stream
/// leads there. The inner error means that it could not, but may be able to reach another
/// destination.
pub(crate) async fn connect(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    hop: &Hop,
    destination: &Destination,
) -> Result<Result<()>> {
    let socks = Socks { stream, hop };
    socks.connect(destination).await
}

struct Socks<'a, S> {
    stream: &'a mut S,
    hop: &'a Hop,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socks<'_, S> {
    async fn connect(mut self, destination: &Destination) -> Result<Result<()>> {
        let mut request = vec![VERSION, CONNECT, 0];
        destination.encode(&mut request).ok_or_else(|| {
            let message = "the host's name is longer than 255 bytes, the limit of SOCKS";
            Error::new(ErrorKind::InvalidUrl, message)
        })?;
        self.authenticate().await?;
        self.say(&request).await?;
        self.read_reply(destination).await
    }

    async fn authenticate(&mut self) -> Result<()> {
        match &self.hop.credentials {
            Some(_) => self.say(&[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD]).await?,
            None => self.say(&[VERSION, 1, NO_AUTHENTICATION]).await?,
        }
        let [version, method] = self.read().await?;
        self.check_version(version)?;
        match (method, &self.hop.credentials) {
            (NO_AUTHENTICATION, _) => Ok(()),
            (USER_AND_PASSWORD, Some(credentials)) => self.log_in(credentials).await,
            (NO_METHOD, None) => Err(self.refused(
                "accepts none of the authentication methods offered: it may ask for a user and \
                 password, and none were given, or for a method that is not supported",
            )),
            (NO_METHOD, Some(_)) => Err(self.refused(
                "accepts none of the authentication methods offered: neither the given user and \
                 password, nor to go without",
            )),
            (method, _) => {
                let why =
                    format!("chose the authentication method {method}, which was not offered");
                Err(self.failed(why))
            }
        }
    }

    /// RFC 1929.
    async fn log_in(&mut self, credentials: &Credentials) -> Result<()> {
        let mut message = vec![PASSWORD_VERSION];
        for part in [credentials.user(), credentials.password()] {
            let length = u8::try_from(part.len()).map_err(|_| {
                let why = "the user or the password is longer than the 255 bytes that SOCKS has \
                           room for";
                Error::new(ErrorKind::InvalidProxy, format!("the proxy {}: {why}", self.hop))
            })?;
            message.push(length);
            message.extend(part);
        }
        self.say(&message).await?;
        // Some proxies write another version here, so it is ignored.
        let [_, status] = self.read().await?;
        match status {
            0 => Ok(()),
            _ => Err(self.refused("refused this user and password")),
        }
    }

    /// `VER REP RSV ATYP BND.ADDR BND.PORT`
    async fn read_reply(&mut self, destination: &Destination) -> Result<Result<()>> {
        let [version, reply] = self.read().await?;
        self.check_version(version)?;
        // Some proxies send no address in a refusal.
        if reply != 0 {
            let (whom, why) = (destination.words(), in_words(reply));
            return Ok(Err(self.refused(&format!("could not connect to {whom}: {why}"))));
        }
        let [_reserved, kind] = self.read().await?;
        let length = match kind {
            IPV4 => 4,
            IPV6 => 16,
            NAME => {
                let [length] = self.read().await?;
                usize::from(length)
            }
            _ => return Err(self.failed(format!("sent an address of the unknown type {kind}"))),
        };
        // The bound address is not needed.
        let mut bound = vec![0; length + 2];
        self.read_into(&mut bound).await.map(Ok)
    }

    fn check_version(&self, version: u8) -> Result<()> {
        match version {
            VERSION => Ok(()),
            _ => Err(self.failed("does not speak SOCKS version 5".to_owned())),
        }
    }

    async fn say(&mut self, bytes: &[u8]) -> Result<()> {
        let said = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        said.await.map_err(|error| broke_off(self.hop, error))
    }

    async fn read<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_into(&mut bytes).await?;
        Ok(bytes)
    }

    async fn read_into(&mut self, bytes: &mut [u8]) -> Result<()> {
        let read = self.stream.read_exact(bytes).await;
        read.map(drop).map_err(|error| broke_off(self.hop, error))
    }

    fn refused(&self, why: &str) -> Error {
        Error::new(ErrorKind::ProxyRefused, format!("the proxy {} {why}", self.hop))
    }

    fn failed(&self, why: String) -> Error {
        Error::new(ErrorKind::ProxyFailed, format!("the proxy {} {why}", self.hop))
    }
}

fn broke_off(hop: &Hop, error: io::Error) -> Error {
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            format!("the proxy {hop} closed the connection in the middle of its handshake")
        }
        _ => format!("the handshake with the proxy {hop} failed: {error}"),
    };
    Error::new(ErrorKind::ProxyFailed, message).with_source(error)
}

/// RFC 1928, section 6.
fn in_words(reply: u8) -> String {
    let words = match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => return format!("unknown reply {reply}"),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The outcome for a proxy that sends these bytes and then closes.
    fn hears(url: &str, answer: &[u8]) -> Result<Result<()>> {
        let hop = Hop::parse(url).expect("a URL");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (mut near, mut far) = tokio::io::duplex(1 << 10);
            far.write_all(answer).await.expect("room");
            far.shutdown().await.expect("an end");
            connect(&mut near, &hop, &Destination::Name("h".to_owned(), 80)).await
        })
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic_or_blames_this_end(
            answer in prop::collection::vec(prop_oneof![0u8..6, any::<u8>()], 0..40),
        ) {
            for url in ["socks5h://p", "socks5h://user:password@p"] {
                if let Err(error) | Ok(Err(error)) = hears(url, &answer) {
                    prop_assert_eq!(error.blame(), crate::error::Blame::Remote);
                    prop_assert!(error.get_ref().is_none() || error.kind() == ErrorKind::ProxyFailed);
                }
            }
        }
    }
}
