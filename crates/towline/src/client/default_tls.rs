//! The default TLS of clients.

use std::sync::{Arc, OnceLock};

use crate::error::Result;
use crate::tls::Tls;
use crate::transport::SecureClient;

/// Shared by all clients, so that the system's roots are loaded once and sessions can be resumed.
pub(crate) fn get() -> Result<Arc<dyn SecureClient>> {
    static DEFAULT: OnceLock<Tls> = OnceLock::new();
    Ok(Arc::new(DEFAULT.get_or_init(Tls::new).clone()))
}
