//! From a host name to its addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

/// The most addresses to take from a resolver.
const LOOKED_AT: usize = 256;

/// Finds the addresses of a host name, for [`Client::resolver`](crate::Client::resolver). Implement
/// it for another DNS client, or for a table of pinned addresses.
///
/// Every function `Fn(String) -> impl Future<Output = io::Result<Vec<IpAddr>>>` implements it:
///
/// ```
/// use std::{io, net::{IpAddr, Ipv4Addr}};
///
/// let client = towline::Client::new().resolver(|host: String| async move {
///     match &*host {
///         "feed.example" => Ok(vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))]),
///         _ => Err(io::Error::new(io::ErrorKind::NotFound, "not a host of ours")),
///     }
/// });
/// ```
///
/// A type implements it with an `async fn`:
///
/// ```
/// use std::collections::HashMap;
/// use std::{io, net::IpAddr};
///
/// struct Pinned(HashMap<String, Vec<IpAddr>>);
///
/// impl towline::Resolve for Pinned {
///     async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
///         let addresses = self.0.get(host).cloned();
///         addresses.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "not pinned"))
///     }
/// }
/// # let client = towline::Client::new().resolver(Pinned(HashMap::new()));
/// ```
pub trait Resolve: Send + Sync + 'static {
    /// Returns the addresses of this host, the most preferred first. The name is in lower case, and
    /// is never an IP address.
    ///
    /// Connecting alternates between the address families, beginning with that of the first address
    /// (RFC 8305), and tries at most 32 addresses. An empty list is an error.
    ///
    /// # Errors
    ///
    /// The reason why there are none. It becomes part of an
    /// [`ErrorKind::Connect`](crate::ErrorKind::Connect).
    ///
    /// # Cancel safety
    ///
    /// Must be cancel safe: the future is dropped when connecting is, for example at the end of the
    /// [`connect_timeout`](crate::Client::connect_timeout).
    fn resolve(&self, host: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send;
}

impl<F, A> Resolve for F
where
    F: Fn(String) -> A + Send + Sync + 'static,
    A: Future<Output = io::Result<Vec<IpAddr>>> + Send,
{
    fn resolve(&self, host: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send {
        self(host.to_owned())
    }
}

/// The future of a resolver, type-erased.
type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// A type-erased resolver.
pub(crate) trait AnyResolve: Send + Sync {
    fn resolve_any<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

impl<R: Resolve> AnyResolve for R {
    fn resolve_any<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(self.resolve(host))
    }
}

/// The resolver in use.
#[derive(Clone, Default)]
pub(crate) enum Resolver {
    /// The operating system: getaddrinfo, on a thread of the runtime.
    #[default]
    System,
    Own(Arc<dyn AnyResolve>),
}

impl Resolver {
    pub(crate) fn new(resolve: impl Resolve) -> Self {
        Self::Own(Arc::new(resolve))
    }

    /// The addresses of a name in order of preference; at least one.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let addresses: Vec<_> = match self {
            // Looked up with the port, since an address can come with a scope.
            Self::System => tokio::net::lookup_host((host, port)).await?.take(LOOKED_AT).collect(),
            Self::Own(resolve) => {
                let addresses = resolve.resolve_any(host).await?;
                let addresses = addresses.into_iter().take(LOOKED_AT);
                addresses.map(|address| SocketAddr::new(address, port)).collect()
            }
        };
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
        }
        Ok(addresses)
    }
}
