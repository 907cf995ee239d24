//! All connections of one instance of the package.

use std::time::Instant;

use napi::bindgen_prelude::External;
use napi_derive::napi;
use towline_proto::{Negotiated, Role, Session};

use crate::arrays::WordsMut;
use crate::connection::Connection;
use crate::options::Options;
use crate::timetable::Timetable;

/// A buffer that has grown beyond this is not kept for the next use.
const MAX_SPARE: usize = 1 << 20;

/// What is due of a connection, for JavaScript: `lib/native.js` has the same numbers.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
enum Due {
    /// Something is to be written: a ping.
    Flush = 1,
    /// The peer has not answered: it is dead, unless bytes of it lie unread.
    Overdue = 2,
    /// The peer did not close in time: the socket is to go.
    Destroy = 3,
}

/// How many connections are kept in one piece of memory. Each in its own would lie scattered among
/// what Node allocates and frees, and cost several times its size.
const BLOCK: u32 = 64;

/// The connections, by their numbers, and what they share.
#[derive(Debug, Default)]
pub struct Hub {
    /// Each of [`BLOCK`] slots.
    blocks: Vec<Box<[Option<Connection>]>>,
    /// The numbers of slots that are free.
    free: Vec<u32>,
    timetable: Timetable,
    /// A buffer to encode into, lent to one connection after the other.
    spare: Vec<u8>,
}

impl Hub {
    pub(crate) fn get(&mut self, id: u32) -> Option<&mut Connection> {
        slot(&mut self.blocks, id)?.as_mut()
    }

    /// The session of a connection, with a buffer to encode into.
    pub(crate) fn session(&mut self, id: u32) -> Option<&mut Session> {
        let connection = slot(&mut self.blocks, id)?.as_mut()?;
        if !connection.session.outbound().has_buffer() {
            connection.session.outbound().lend_buffer(std::mem::take(&mut self.spare));
        }
        Some(&mut connection.session)
    }

    /// Takes the buffer back, if nothing is left in it.
    pub(crate) fn reclaim(&mut self, id: u32) {
        let Some(connection) = self.get(id) else { return };
        if let Some(buffer) = connection.session.outbound().reclaim_buffer()
            && buffer.capacity() <= MAX_SPARE
            && buffer.capacity() > self.spare.capacity()
        {
            self.spare = buffer;
        }
    }

    /// Sees to it that the connection is looked at when its next deadline comes; returns whether
    /// that is sooner than it was.
    pub(crate) fn schedule(&mut self, id: u32) -> bool {
        let Some(Some(connection)) = slot(&mut self.blocks, id) else { return false };
        let Some(at) = connection.session.poll_timeout() else { return false };
        self.timetable.schedule(id, at, &mut connection.scheduled)
    }

    /// Finds a slot for a connection, and returns its number.
    fn insert(&mut self, connection: Connection) -> u32 {
        if self.free.is_empty() {
            // There are fewer sockets than numbers.
            let first = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX) * BLOCK;
            self.blocks.push((0..BLOCK).map(|_| None).collect());
            self.free.extend((first..first + BLOCK).rev());
        }
        let id = self.free.pop().unwrap_or(u32::MAX);
        if let Some(slot) = slot(&mut self.blocks, id) {
            *slot = Some(connection);
        }
        id
    }

    /// Looks at the next connection whose time has come.
    fn next_due(&mut self, now: Instant) -> Option<(u32, Option<Due>)> {
        let (at, id) = self.timetable.pop_due(now)?;
        let Some(Some(connection)) = slot(&mut self.blocks, id) else { return Some((id, None)) };
        if connection.scheduled != Some(at) {
            return Some((id, None));
        }
        connection.scheduled = None;
        let session = &mut connection.session;
        let due = if session.poll_timeout().is_none_or(|deadline| deadline > now) {
            None
        } else if session.is_peer_overdue(now) {
            Some(Due::Overdue)
        } else {
            session.handle_timeout(now);
            Some(if session.closed().is_some() { Due::Destroy } else { Due::Flush })
        };
        // One that is overdue is judged by JavaScript: it is heard of, or released.
        if !matches!(due, Some(Due::Overdue)) {
            self.schedule(id);
        }
        Some((id, due))
    }
}

fn slot(blocks: &mut [Box<[Option<Connection>]>], id: u32) -> Option<&mut Option<Connection>> {
    blocks.get_mut((id / BLOCK) as usize)?.get_mut((id % BLOCK) as usize)
}

/// A hub without connections.
#[napi(catch_unwind)]
pub fn create_hub() -> External<Hub> {
    External::new(Hub::default())
}

/// Adds a connection whose opening handshake is done, and returns its number.
#[napi(catch_unwind)]
pub fn open(
    hub: &mut External<Hub>,
    is_server: bool,
    options: Options,
    compression: Option<&External<Negotiated>>,
) -> u32 {
    let role = if is_server { Role::Server } else { Role::Client };
    let id = hub.insert(Connection::new(
        role,
        &options.to_config(),
        compression.map(|negotiated| &**negotiated),
        Instant::now(),
    ));
    hub.schedule(id);
    id
}

/// Removes a connection whose socket is gone. Its number may be given to another.
#[napi(catch_unwind)]
pub fn release(hub: &mut External<Hub>, id: u32) {
    let Hub { blocks, free, .. } = &mut **hub;
    if slot(blocks, id).is_some_and(|slot| slot.take().is_some()) {
        free.push(id);
    }
}

/// In how many milliseconds [`due`] is next to be called; negative for never.
#[napi(catch_unwind)]
pub fn next_timeout(hub: &External<Hub>) -> f64 {
    let Some(at) = hub.timetable.next() else { return -1.0 };
    at.saturating_duration_since(Instant::now()).as_secs_f64() * 1000.0
}

/// Does what is due, and writes which connections JavaScript has to look after, and why: two words
/// each. Returns how many; if the table is full, there may be more.
#[napi(catch_unwind)]
pub fn due(hub: &mut External<Hub>, table: WordsMut<'_>) -> u32 {
    let now = Instant::now();
    let mut count = 0;
    for words in table.chunks_exact_mut(2) {
        let next = std::iter::from_fn(|| hub.next_due(now)).find_map(|(id, due)| Some((id, due?)));
        let Some((id, due)) = next else { break };
        words.copy_from_slice(&[id, due as u32]);
        count += 1;
    }
    count
}

/// Takes note that bytes of the peer are there, though they have not been read.
#[napi(catch_unwind)]
pub fn heard(hub: &mut External<Hub>, id: u32) {
    if let Some(connection) = hub.get(id) {
        connection.session.handle_received(Instant::now());
        hub.schedule(id);
    }
}

/// Whether the peer is still to be taken for dead: nothing of it came since [`due`] said so. If
/// not, its next deadline is looked after.
#[napi(catch_unwind)]
pub fn is_overdue(hub: &mut External<Hub>, id: u32) -> bool {
    let now = Instant::now();
    let Some(connection) = hub.get(id) else { return false };
    let is_overdue = connection.session.is_peer_overdue(now);
    if !is_overdue {
        hub.schedule(id);
    }
    is_overdue
}
