//! The way to the server, taken anew for each connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use towline::{Error, Target, Tls, TlsInfo};

use crate::check::proxy::Proxied;
use crate::check::talk::Stream;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoWay {
    /// Neither an answer nor a refusal.
    TimedOut(String),
    Failed(String),
    /// The library's error, such as that of a certificate.
    Tls(Box<Error>),
}

impl std::fmt::Display for NoWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut(why) | Self::Failed(why) => f.write_str(why),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

/// The server, and how it is reached.
pub(crate) struct Way {
    pub(crate) target: Target,
    pub(crate) tls: Tls,
    pub(crate) proxy: Option<Proxied>,
    /// The addresses of the server or of the proxy, the one that answered first.
    pub(crate) addresses: Vec<SocketAddr>,
    /// How long each step may take.
    pub(crate) step: Duration,
}

impl Way {
    /// The host and the port that are dialled: the proxy's, if there is one.
    pub(crate) fn dialled(&self) -> (&str, u16) {
        match &self.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (self.target.host(), self.target.port()),
        }
    }

    /// Looks up the addresses.
    pub(crate) async fn look_up(&self, deadline: Instant) -> Result<Vec<SocketAddr>, NoWay> {
        let (host, port) = self.dialled();
        let until = deadline.min(Instant::now() + self.step);
        match timeout_at(until, tokio::net::lookup_host((host, port))).await {
            Err(_) => Err(NoWay::TimedOut(format!(
                "no answer for the name {host} within {:?}",
                self.step
            ))),
            Ok(Err(error)) => Err(NoWay::Failed(format!("looking up {host} failed: {error}"))),
            Ok(Ok(addresses)) => {
                let mut found: Vec<SocketAddr> = Vec::new();
                for address in addresses {
                    if !found.contains(&address) {
                        found.push(address);
                    }
                }
                match found.is_empty() {
                    true => Err(NoWay::Failed(format!("{host} has no address"))),
                    false => Ok(found),
                }
            }
        }
    }

    /// Connects to an address.
    pub(crate) async fn dial(
        &self,
        address: SocketAddr,
        deadline: Instant,
    ) -> Result<TcpStream, NoWay> {
        let until = deadline.min(Instant::now() + self.step);
        match timeout_at(until, TcpStream::connect(address)).await {
            Err(_) => {
                Err(NoWay::TimedOut(format!("{address} did not answer within {:?}", self.step)))
            }
            Ok(Err(error)) => Err(NoWay::Failed(format!("{address}: {error}"))),
            Ok(Ok(tcp)) => {
                let _ = tcp.set_nodelay(true);
                Ok(tcp)
            }
        }
    }

    /// A stream to the server, through the proxy if there is one, without TLS.
    pub(crate) async fn bare(&self, deadline: Instant) -> Result<Stream, NoWay> {
        let Some(address) = self.addresses.first() else {
            return Err(NoWay::Failed("no address is known".to_owned()));
        };
        let tcp = self.dial(*address, deadline).await?;
        let Some(proxy) = &self.proxy else { return Ok(Box::new(tcp)) };
        let until = deadline.min(Instant::now() + self.step);
        let tunnel = timeout_at(until, proxy.tunnel(Box::new(tcp), &self.target)).await;
        let tunnel = tunnel.map_err(|_| {
            NoWay::TimedOut(format!("the proxy {proxy} did not answer within {:?}", self.step))
        })?;
        tunnel.map_err(|why| NoWay::Failed(format!("the proxy {proxy}: {why}")))
    }

    /// Adds TLS as these options say.
    pub(crate) async fn secure(
        &self,
        stream: Stream,
        tls: &Tls,
        deadline: Instant,
    ) -> Result<(Stream, Arc<TlsInfo>), NoWay> {
        let until = deadline.min(Instant::now() + self.step);
        match timeout_at(until, tls.connect(stream, self.target.host())).await {
            Err(_) => Err(NoWay::TimedOut(format!("no TLS handshake within {:?}", self.step))),
            Ok(Err(error)) => Err(NoWay::Tls(Box::new(error))),
            Ok(Ok(stream)) => {
                let info = stream.info();
                Ok((Box::new(stream), info))
            }
        }
    }

    /// A stream to the server on which a handshake can begin.
    pub(crate) async fn open(&self, deadline: Instant) -> Result<Stream, NoWay> {
        let stream = self.bare(deadline).await?;
        match self.target.is_secure() {
            true => Ok(self.secure(stream, &self.tls, deadline).await?.0),
            false => Ok(stream),
        }
    }
}
