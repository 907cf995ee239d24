//! Clients that say how to speak TLS.

use std::sync::Arc;

use crate::client::Client;
use crate::tls::Tls;

impl Client {
    /// Sets whom to trust with `wss://`, and who this end is. Default: as [`Tls::new`], which trusts
    /// what the system does.
    ///
    /// It holds for a proxy that is spoken to over TLS as well.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.settings().tls = Some(Arc::new(tls));
        self
    }
}
