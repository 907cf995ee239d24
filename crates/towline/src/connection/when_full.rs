//! The policy for broadcasts to a connection with a full queue.

/// The policy for broadcasts to a connection whose outgoing queue is
/// [full](crate::Config::send_high_water_mark).
///
/// [`Connections::broadcast`](crate::Connections::broadcast) has an example.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// Skips the connection. Use it for independent messages, if a gap does no harm.
    /// [`Delivery::full`](crate::Delivery::full) reports skipped connections.
    #[default]
    Skip,
    /// Keeps the newest broadcast and sends it when there is room. An older one that is still kept
    /// is dropped. Use it for messages that describe the current state. It keeps one message for
    /// each such connection, whose memory the connections share.
    KeepNewest,
    /// Ends the connection with 1008 (policy violation): a peer that can't keep up has to reconnect. Use
    /// it if no message may be missing. For topics, [`SlowMember::Close`] uses 1013 (try again later).
    ///
    /// [`SlowMember::Close`]: crate::topics::SlowMember::Close
    Close,
}
