//! The interface to TLS, which is an optional feature.

use std::fmt;
use std::pin::Pin;

use crate::error::Result;
use crate::transport::AnyStream;

/// The application protocols to offer by ALPN (RFC 7301), the preferred one first.
pub(crate) type Alpn = &'static [&'static str];

/// What most connections offer.
pub(crate) const HTTP_1: Alpn = &["http/1.1"];

/// The handshake that makes a stream secure.
pub(crate) type Securing<'a> = Pin<Box<dyn Future<Output = Result<AnyStream>> + Send + 'a>>;

/// Which server a TLS stream leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The server that the program named.
    Named,
    /// A proxy, or a server of another origin that a redirect leads to.
    Others,
}

/// How a client makes a stream secure.
pub(crate) trait SecureClient: fmt::Debug + Send + Sync {
    /// Checks the configuration for this host, before anything is dialled.
    fn check(&self, host: &str, whose: Whose) -> Result<()>;

    fn secure<'a>(
        &'a self,
        stream: AnyStream,
        host: &'a str,
        whose: Whose,
        alpn: Alpn,
    ) -> Securing<'a>;
}

/// How a server makes a stream secure.
pub(crate) trait SecureServer: fmt::Debug + Send + Sync {
    fn secure(&self, stream: AnyStream) -> Securing<'_>;
}
