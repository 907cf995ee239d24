//! From a host's name to its addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

/// So many of the addresses that a resolver knows are looked at.
const LOOKED_AT: usize = 256;

/// What finds the addresses of a host's name, for [`Client::resolver`](crate::Client::resolver): a
/// DNS client of your choice, or a table of pinned addresses.
///
/// Each function `Fn(String) -> impl Future<Output = io::Result<Vec<IpAddr>>>` is one:
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
/// A type of its own is one with an `async fn`:
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
    /// Finds the addresses of this host, the most preferred first. The name is in lower case, and no
    /// address.
    ///
    /// Connecting tries the families by turns, that of the first address first (RFC 8305), and no
    /// more than 32 addresses. None at all is an error.
    ///
    /// # Errors
    ///
    /// Why there are none. The reason is told in an [`ErrorKind::Connect`](crate::ErrorKind::Connect).
    ///
    /// # Cancel safety
    ///
    /// Be cancel safe: the future is dropped with the connecting, as at the end of the
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

/// A future of a resolver whose type is not known.
type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// A resolver whose type is not known.
pub(crate) trait AnyResolve: Send + Sync {
    fn resolve_any<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

impl<R: Resolve> AnyResolve for R {
    fn resolve_any<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(self.resolve(host))
    }
}

/// Who is asked for the addresses of a name.
#[derive(Clone, Default)]
pub(crate) enum Resolver {
    /// The operating system: getaddrinfo, on a thread of the runtime's.
    #[default]
    System,
    Own(Arc<dyn AnyResolve>),
}

impl Resolver {
    pub(crate) fn new(resolve: impl Resolve) -> Self {
        Self::Own(Arc::new(resolve))
    }

    /// The addresses of a name, in the order of preference; at least one.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let addresses: Vec<_> = match self {
            // Asked with the port, since an address may come with a scope.
            Self::System => tokio::net::lookup_host((host, port)).await?.take(LOOKED_AT).collect(),
            Self::Own(resolve) => {
                let addresses = resolve.resolve_any(host).await?;
                let addresses = addresses.into_iter().take(LOOKED_AT);
                addresses.map(|address| SocketAddr::new(address, port)).collect()
            }
        };
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it has no address"));
        }
        Ok(addresses)
    }
}
