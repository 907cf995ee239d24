//! TLS where the program says nothing about it.

use std::sync::{Arc, OnceLock};

use crate::error::Result;
use crate::tls::Tls;
use crate::transport::SecureClient;

/// One for all clients, so that what the system trusts is loaded once, and sessions can be resumed.
pub(crate) fn get() -> Result<Arc<dyn SecureClient>> {
    static DEFAULT: OnceLock<Tls> = OnceLock::new();
    Ok(Arc::new(DEFAULT.get_or_init(Tls::new).clone()))
}
