//! The TLS options of clients.

use std::sync::Arc;

use crate::client::Client;
use crate::tls::Tls;

impl Client {
    /// Sets the TLS options for `wss://`: trusted roots, client certificates. Default:
    /// [`Tls::new`], which trusts the roots of the system.
    ///
    /// They also apply to a proxy that is spoken to over TLS.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.settings().tls = Some(Arc::new(tls));
        self
    }
}
