//! There is no TLS here.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::transport::SecureClient;

pub(crate) fn get() -> Result<Arc<dyn SecureClient>> {
    let why = "wss:// takes TLS: enable the feature `tls` of towline, or bring a TLS stream \
               and use connect_over";
    Err(Error::new(ErrorKind::TlsUnavailable, why))
}
