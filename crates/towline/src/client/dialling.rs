//! TCP to a host, by name or by address.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use crate::client::progress::Progress;
use crate::client::racing::{Failures, by_turns, race};
use crate::client::resolve::Resolver;

/// The error of dialling a host.
pub(crate) struct Unreachable {
    /// Which names and addresses were tried, and how each failed: the end of a sentence.
    pub(crate) why: String,
    pub(crate) source: io::Error,
}

/// Dials, for one connection.
pub(crate) struct Dialler<'a> {
    pub(crate) resolver: &'a Resolver,
    pub(crate) progress: &'a Progress,
}

impl Dialler<'_> {
    /// The addresses of a host in the order to try them. An address stands for itself.
    pub(crate) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Unreachable> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        self.progress.is(format!("looking up the name {host}"));
        match self.resolver.resolve(host, port).await {
            Ok(addresses) => Ok(by_turns(addresses)),
            Err(source) => {
                Err(Unreachable { why: format!("looking up the name failed: {source}"), source })
            }
        }
    }

    /// Connects to the address that answers first.
    pub(crate) async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, Unreachable> {
        let addresses = self.addresses(host, port).await?;
        let connect = |address| {
            self.progress.is(format!("connecting to {address}"));
            TcpStream::connect(address)
        };
        race(addresses, connect).await.map_err(|failures| unreachable(host, failures))
    }
}

/// Joins all failures into one line. The last failure is the source. The address of a host that is one
/// is left out, since the error names the host.
fn unreachable(host: &str, failures: Failures) -> Unreachable {
    let is_address = host.parse::<IpAddr>().is_ok();
    let mut why = String::new();
    let mut last = None;
    for (address, error) in failures {
        let separator = if why.is_empty() { "" } else { "; " };
        // Writing to a string does not fail.
        let _ = match is_address {
            true => write!(why, "{separator}{error}"),
            false => write!(why, "{separator}{address}: {error}"),
        };
        last = Some(error);
    }
    Unreachable { why, source: last.unwrap_or_else(|| io::ErrorKind::NotFound.into()) }
}
