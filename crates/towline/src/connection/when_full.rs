//! The policy for messages to many and a connection with a full queue.

use std::num::NonZeroUsize;

/// The policy for connections whose outgoing queue is [full](crate::Config::send_high_water_mark) when a
/// message for many comes: a [broadcast](crate::Connections::broadcast), or a message of a
/// [topic](crate::topics::TopicOptions::when_full). Nobody waits for a connection, whatever the policy is.
///
/// For a message of a topic, a queue counts as full, too, while a [`send`](crate::Sender::send) waits for
/// its turn, except for [`Close`](Self::Close).
///
/// ```
/// use std::num::NonZeroUsize;
/// use towline::WhenFull;
/// use towline::topics::TopicOptions;
///
/// # fn example(server: &towline::Server) {
/// let newest = WhenFull::KeepNewest(NonZeroUsize::MIN);
/// let prices = server.connections().broadcast("{\"rum\": 7}").when_full(newest);
/// let options = TopicOptions::default().when_full(newest);
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// Skips the connection. Use it for independent messages, if a gap does no harm.
    #[default]
    Skip,
    /// Keeps the newest messages, at most this many, and sends them when there is room. When there are
    /// more, the oldest is skipped. Use it for messages that describe the current state: usually 1. For each
    /// connection, all broadcasts count together, as do the messages of a topic. Connections that keep a
    /// message share its memory.
    KeepNewest(NonZeroUsize),
    /// Ends the connection with 1013 (try again later). Use it if no message may be missing: the client
    /// has to connect again, as the code invites it to, and ask for what it has missed.
    Close,
}
