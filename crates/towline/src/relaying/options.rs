//! The options that all relays have.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The options of a [`Node`](crate::relaying::Node), whatever its broker is.
///
/// ```
/// use towline::relaying::{Mailbox, NodeOptions};
///
/// let options = NodeOptions::default().prefix("chat.").max_outbox_bytes(1 << 20);
/// let mailbox = Mailbox::new(options);
/// assert_eq!(mailbox.options().prefix, "chat.");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct NodeOptions {
    /// What the names of all topics begin with on the broker. Nodes with different prefixes share no
    /// topics. Default: `towline.`.
    pub prefix: String,
    /// How long the broker may take to confirm a subscription. While the broker is lost, the first join
    /// of a topic on this node waits for that long, and then fails with an [`InterestTimeout`]. Default:
    /// 5 s.
    pub interest_timeout: Duration,
    /// How many bytes can be queued on their way to the broker, see
    /// [`Outbox::new`](crate::relaying::Outbox::new). Messages that have no room are lost. Default: 8 MiB.
    pub max_outbox_bytes: usize,
    /// How many bytes can be queued on their way from the broker to members on this node, see
    /// [`Inbox::new`](crate::relaying::Inbox::new). Messages that have no room are lost. Default: 64 MiB.
    pub max_inbox_bytes: usize,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            prefix: "towline.".to_owned(),
            interest_timeout: Duration::from_secs(5),
            max_outbox_bytes: 8 << 20,
            max_inbox_bytes: 64 << 20,
        }
    }
}

impl NodeOptions {
    /// Sets [`prefix`](Self#structfield.prefix).
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets [`interest_timeout`](Self#structfield.interest_timeout).
    pub fn interest_timeout(mut self, limit: Duration) -> Self {
        self.interest_timeout = limit;
        self
    }

    /// Sets [`max_outbox_bytes`](Self#structfield.max_outbox_bytes).
    pub fn max_outbox_bytes(mut self, bytes: usize) -> Self {
        self.max_outbox_bytes = bytes;
        self
    }

    /// Sets [`max_inbox_bytes`](Self#structfield.max_inbox_bytes).
    pub fn max_inbox_bytes(mut self, bytes: usize) -> Self {
        self.max_inbox_bytes = bytes;
        self
    }
}

/// The error for a subscription that the broker has not confirmed within the
/// [`interest_timeout`](NodeOptions#structfield.interest_timeout).
///
/// [`Error::get_ref`](crate::Error::get_ref) returns it when a join fails.
///
/// ```
/// use towline::relaying::InterestTimeout;
///
/// fn is_late(error: &towline::Error) -> bool {
///     error.get_ref().is_some_and(|cause| cause.is::<InterestTimeout>())
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InterestTimeout {
    /// The limit.
    pub limit: Duration,
}

impl fmt::Display for InterestTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit } = self;
        write!(
            f,
            "the broker has not confirmed the subscription within {limit:?} (option interest_timeout)"
        )
    }
}

impl StdError for InterestTimeout {}
