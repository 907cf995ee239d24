//! The way to the server, taken anew for each connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::Uri;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use towline::{Client, Error, Resolve, Target, Tls, Transport};

use crate::exit::in_options_of;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoWay {
    /// Neither an answer nor a refusal.
    TimedOut(String),
    Failed(String),
    /// The library's error, such as that of a certificate or of a proxy.
    Library(Box<Error>),
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(why) | Self::Failed(why) => f.write_str(why),
            Self::Library(error) => f.write_str(&in_options(error)),
        }
    }
}

/// The library's error, with the options of this command in place of the client's.
pub(crate) fn in_options(error: &Error) -> String {
    in_options_of(&[("connect_timeout", "--step-timeout")], error.to_string())
}

/// The proxy in between.
pub(crate) struct Hop {
    /// Without user and password.
    url: String,
    host: String,
    port: u16,
}

impl Hop {
    /// Reads what [`Client::proxy_for`] says.
    pub(crate) fn of(url: String) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { port: uri.port_u16()?, url, host })
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// The server, and how it is reached.
pub(crate) struct Way {
    pub(crate) target: Target,
    /// Connects as the options say: TLS, the proxy, what the handshake asks for.
    pub(crate) client: Client,
    pub(crate) tls: Tls,
    pub(crate) proxy: Option<Hop>,
    /// The addresses of the server or of the proxy that answered.
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
        match timeout_at(until, lookup_host((host, port))).await {
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

    /// Connects to an address of the server or of the proxy, to see whether it answers.
    pub(crate) async fn knock(
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
            Ok(Ok(tcp)) => Ok(tcp),
        }
    }

    /// Uses these addresses from now on, so that one that is dead delays nothing.
    pub(crate) fn settle(&mut self, addresses: Vec<SocketAddr>) {
        let has_scope =
            |address: &SocketAddr| matches!(address, SocketAddr::V6(v6) if v6.scope_id() > 0);
        // A resolver has no scopes.
        if !addresses.iter().any(has_scope) {
            let host = self.dialled().0.to_owned();
            let found = addresses.iter().map(SocketAddr::ip).collect();
            self.client = self.client.clone().resolver(Found { host, found });
        }
        self.addresses = addresses;
    }

    /// A stream to the server on which a handshake can begin.
    pub(crate) async fn open(&self, deadline: Instant) -> Result<Transport, NoWay> {
        self.open_by(self.client.clone(), deadline).await
    }

    /// The same by a client with other options.
    pub(crate) async fn open_by(
        &self,
        client: Client,
        deadline: Instant,
    ) -> Result<Transport, NoWay> {
        let scheme = if self.target.is_secure() { "wss" } else { "ws" };
        let url = format!("{scheme}://{}", self.target.authority());
        let left = deadline.saturating_duration_since(Instant::now());
        let dialling = client.connect_timeout(self.step.min(left)).dial(url);
        dialling.await.map_err(|error| NoWay::Library(Box::new(error)))
    }
}

/// A resolver for the host that was looked up. A proxy may want the addresses of the server, too.
struct Found {
    host: String,
    found: Vec<IpAddr>,
}

impl Resolve for Found {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if host.eq_ignore_ascii_case(&self.host) {
            return Ok(self.found.clone());
        }
        Ok(lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_proxy_is_read_from_its_url() {
        for (url, place) in
            [("http://proxy:80", ("proxy", 80)), ("socks5h://[::1]:1080", ("::1", 1080))]
        {
            let hop = Hop::of(url.to_owned()).unwrap();
            assert_eq!((&*hop.host, hop.port), place);
            assert_eq!(hop.to_string(), url);
        }
    }
}
