//! Messages for the members of a group.

use std::sync::{Arc, Mutex, PoisonError};

use towline_proto::{Broadcast, Burst, Compress, Message, Outbound, Outgoing, Session};

use crate::connection::writer::Writer;

/// A run ends when it has this many bytes. Longer ones would be refused where a queue has little room.
const RUN: usize = 16 << 10;

/// A message for the members of a group.
pub(crate) struct Prepared {
    broadcast: Broadcast,
    compress: Compress,
    /// The number of the connection that does not get it.
    except: Option<u64>,
    /// Shared by the members that keep it.
    later: Option<Arc<Mutex<Broadcast>>>,
}

/// A message that a member keeps until it has room.
pub(super) struct Kept {
    broadcast: Arc<Mutex<Broadcast>>,
    pub(super) len: usize,
    compress: Compress,
}

/// Consecutive messages, encoded once for all members that send the same bytes.
pub(crate) struct Run {
    /// How many messages it has.
    pub(super) len: usize,
    /// `None` if they are too long to be copied.
    burst: Option<Burst>,
    /// The numbers of the connections that don't get all of the messages.
    excepted: Vec<u64>,
}

impl Prepared {
    pub(crate) fn new(message: Message, compress: Compress, except: Option<u64>) -> Self {
        Self { broadcast: Broadcast::new(message), compress, except, later: None }
    }

    /// Whether the connection with this number gets it.
    pub(super) fn is_for(&self, id: u64) -> bool {
        self.except != Some(id)
    }

    pub(super) fn send(&mut self, session: &mut Session, writer: &mut Writer) -> bool {
        let outgoing = Outgoing::from(&mut self.broadcast).compress(self.compress);
        send(outgoing, session, writer)
    }

    pub(super) fn keep(&mut self) -> Kept {
        let Self { broadcast, compress, later, .. } = self;
        let len = broadcast.message().len();
        let shared = later.get_or_insert_with(|| Arc::new(Mutex::new(broadcast.clone())));
        Kept { broadcast: shared.clone(), len, compress: *compress }
    }
}

impl Kept {
    pub(super) fn send(self, session: &mut Session, writer: &mut Writer) -> bool {
        let mut broadcast = self.broadcast.lock().unwrap_or_else(PoisonError::into_inner);
        send(Outgoing::from(&mut *broadcast).compress(self.compress), session, writer)
    }
}

pub(super) fn send(mut outgoing: Outgoing<'_>, session: &mut Session, writer: &mut Writer) -> bool {
    writer.prepare(session);
    writer.work.add_message(outgoing.len());
    session.send_from(&mut outgoing).is_ok()
}

impl Run {
    /// Divides messages into runs.
    pub(crate) fn all(messages: &[Prepared]) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::with_capacity(1);
        for prepared in messages {
            match runs.last_mut().filter(|run| run.has_room_for(prepared)) {
                Some(run) => run.push(prepared),
                None => runs.push(Self::of(prepared)),
            }
        }
        runs
    }

    fn of(prepared: &Prepared) -> Self {
        let burst = is_short(prepared).then(Burst::new);
        let mut run = Self { len: 0, burst, excepted: Vec::new() };
        run.push(prepared);
        run
    }

    fn has_room_for(&self, prepared: &Prepared) -> bool {
        match &self.burst {
            Some(burst) => is_short(prepared) && burst.wire().len() < RUN,
            None => !is_short(prepared),
        }
    }

    fn push(&mut self, prepared: &Prepared) {
        let Prepared { broadcast, compress, except, .. } = prepared;
        self.len += 1;
        if let Some(burst) = &mut self.burst {
            burst.push(broadcast.message(), *compress);
        }
        if let Some(id) = except
            && !self.excepted.contains(id)
        {
            self.excepted.push(*id);
        }
    }

    /// The frames of all messages, if the connection with this number gets all of them.
    pub(super) fn burst_for(&self, id: u64) -> Option<&Burst> {
        self.burst.as_ref().filter(|_| !self.excepted.contains(&id))
    }
}

fn is_short(prepared: &Prepared) -> bool {
    prepared.broadcast.message().len() <= Outbound::COPY_MAX
}
