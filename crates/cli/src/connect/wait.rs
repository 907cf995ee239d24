//! What to wait for before closing.

use std::time::Duration;

use crate::quantity::Switch;

/// The messages that are awaited, over all connections.
#[derive(Debug)]
pub(crate) struct Wait {
    /// How many messages to receive before closing; `Off` means forever.
    pub(crate) wanted: Switch<u64>,
    /// Whether more messages are not wanted.
    pub(crate) is_exact: bool,
    /// Whether to send all of the input, even if the messages were received.
    pub(crate) sends_all: bool,
    /// The option that makes fewer messages a failure, if there is one.
    pub(crate) option: Option<&'static str>,
    /// The most time between two messages, once the input has been sent.
    pub(crate) silence: Option<Duration>,
    pub(crate) received: u64,
}

impl Wait {
    /// Whether all awaited messages were received.
    pub(crate) fn is_enough(&self) -> bool {
        self.wanted.on().is_some_and(|wanted| self.received >= wanted)
    }

    /// Whether more messages are not wanted.
    pub(crate) fn is_over(&self) -> bool {
        self.is_exact && self.is_enough()
    }
}
