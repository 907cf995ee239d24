//! TLS is not compiled in.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::transport::SecureClient;

pub(crate) fn get() -> Result<Arc<dyn SecureClient>> {
    let why = "wss:// needs TLS: enable the feature `tls` of towline, or pass a TLS stream \
               to connect_over";
    Err(Error::new(ErrorKind::TlsUnavailable, why))
}
