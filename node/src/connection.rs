//! One connection: the core, and what waits for JavaScript to take it.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use towline_proto::{Config, Inbound, Incoming, Negotiated, Role, Session};

/// A connection, from the end of the opening handshake to the end of its socket.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) inbound: Inbound,
    pub(crate) session: Session,
    /// What events of the table are about, in their order, where that is not in the chunk.
    pub(crate) owned: VecDeque<Owned>,
    /// The last of what the peer said: its close frame, or a fault. The session learns of it when
    /// the program has had all that came before, and could answer it.
    pub(crate) ending: Option<Incoming<'static>>,
    /// When the timetable will look at this.
    pub(crate) scheduled: Option<Instant>,
}

/// A payload or a text that did not lie whole in a chunk.
#[derive(Debug)]
pub(crate) enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Shared(Bytes),
}

impl Connection {
    pub(crate) fn new(
        role: Role,
        config: &Config,
        compression: Option<&Negotiated>,
        now: Instant,
    ) -> Self {
        Self {
            inbound: Inbound::new(role, config).with_compression(compression),
            session: Session::new(role, config, now).with_compression(compression),
            owned: VecDeque::new(),
            ending: None,
            scheduled: None,
        }
    }

    /// What the next event is about. An idle connection keeps nothing.
    pub(crate) fn take_owned(&mut self) -> Option<Owned> {
        let owned = self.owned.pop_front();
        if self.owned.is_empty() {
            self.owned = VecDeque::new();
        }
        owned
    }
}
