//! Which end of a connection this is.

/// Which end of a connection this is.
///
/// The two ends of an established connection differ in two ways only: a client masks its frames
/// ([RFC 6455, section 5.1]), and the server is the first to close the TCP connection ([section
/// 7.1.1]).
///
/// [RFC 6455, section 5.1]: https://www.rfc-editor.org/rfc/rfc6455#section-5.1
/// [section 7.1.1]: https://www.rfc-editor.org/rfc/rfc6455#section-7.1.1
///
/// ```
/// use towline_proto::Role;
///
/// assert!(Role::Client.masks() && !Role::Server.masks());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that answered the opening handshake.
    Server,
    /// The end that asked for the opening handshake.
    Client,
}

impl Role {
    /// Returns whether frames sent by this end are masked.
    pub fn masks(self) -> bool {
        matches!(self, Self::Client)
    }
}
