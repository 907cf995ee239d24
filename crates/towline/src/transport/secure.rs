//! The seam to TLS, which may not be compiled in.

use std::fmt;
use std::pin::Pin;

use crate::error::Result;
use crate::transport::AnyStream;

/// The handshake that makes a stream secure.
pub(crate) type Securing<'a> = Pin<Box<dyn Future<Output = Result<AnyStream>> + Send + 'a>>;

/// How a client makes a stream secure.
pub(crate) trait SecureClient: fmt::Debug + Send + Sync {
    /// With the server of this name.
    fn secure<'a>(&'a self, stream: AnyStream, host: &'a str) -> Securing<'a>;
}

/// How a server makes a stream secure.
pub(crate) trait SecureServer: fmt::Debug + Send + Sync {
    fn secure(&self, stream: AnyStream) -> Securing<'_>;
}
