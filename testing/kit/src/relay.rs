//! A relay without a broker.

use std::sync::{Arc, OnceLock};

use towline::Outgoing;
use towline::topics::{Incoming, Relay, RelayError, RelayFuture};

/// Publishes nowhere, and hands its way in to the test.
#[derive(Clone, Default)]
pub struct Way(Arc<OnceLock<Incoming>>);

impl Way {
    /// Returns the way in to the topics that were built with a clone of this.
    ///
    /// # Panics
    ///
    /// Panics if there are none.
    pub fn incoming(&self) -> &Incoming {
        self.0.get().expect("topics with this relay")
    }
}

impl Relay for Way {
    fn start(&self, incoming: Incoming) {
        assert!(self.0.set(incoming).is_ok(), "one relay for the topics of two nodes");
    }

    fn publish(&self, _: &str, _: Outgoing<'_>) {}

    fn interest<'a>(&'a self, _: &'a str, _: bool) -> RelayFuture<'a, Result<(), RelayError>> {
        Box::pin(async { Ok(()) })
    }
}
