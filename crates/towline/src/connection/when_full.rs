//! What becomes of a broadcast for which there is no room.

/// What becomes of a broadcast to a connection whose outgoing queue is
/// [full](crate::Config::send_high_water_mark).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// The connection does not get it. For messages that each stand alone, and where a gap does no
    /// harm or is told by [`Delivery::full`](crate::Delivery::full).
    #[default]
    Skip,
    /// The connection gets it as soon as there is room, unless a newer broadcast comes before: of
    /// those that found no room, the newest is kept. For messages that say how things are now. It
    /// takes the memory of one message for each such connection, which is shared among them.
    KeepNewest,
    /// The connection is ended with 1008: a peer that can't keep up has to connect anew. For messages
    /// of which none may be missing.
    Close,
}
