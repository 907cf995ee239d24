//! The seam to TLS, which may not be compiled in.

use std::fmt;
use std::pin::Pin;

use crate::error::Result;
use crate::transport::AnyStream;

/// The handshake that makes a stream secure.
pub(crate) type Securing<'a> = Pin<Box<dyn Future<Output = Result<AnyStream>> + Send + 'a>>;

/// Who is at the other end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The server that the program named.
    Named,
    /// A proxy, or a server of another origin that a redirect leads to.
    Others,
}

/// How a client makes a stream secure.
pub(crate) trait SecureClient: fmt::Debug + Send + Sync {
    /// Whether it could with this host: better told before anything is dialled.
    fn check(&self, host: &str, whose: Whose) -> Result<()>;

    fn secure<'a>(&'a self, stream: AnyStream, host: &'a str, whose: Whose) -> Securing<'a>;
}

/// How a server makes a stream secure.
pub(crate) trait SecureServer: fmt::Debug + Send + Sync {
    fn secure(&self, stream: AnyStream) -> Securing<'_>;
}
