//! The rooms, and who is in them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use towline::{Message, Sender, Text};

/// The app's state. Clones share the rooms.
#[derive(Clone)]
pub(crate) struct Rooms(Arc<Mutex<HashMap<String, Vec<Sender>>>>);

impl Rooms {
    pub(crate) fn new<const N: usize>(names: [&str; N]) -> Self {
        let rooms = names.map(|name| (name.to_owned(), Vec::new()));
        Self(Arc::new(Mutex::new(rooms.into())))
    }

    pub(crate) fn has(&self, room: &str) -> bool {
        self.lock().contains_key(room)
    }

    /// Sends to all in a room. A member whose queue is full misses it.
    pub(crate) fn tell(&self, room: &str, text: impl Into<Text>) {
        let message = Message::from(text.into());
        if let Some(members) = self.lock().get(room) {
            for member in members {
                let _ = member.try_send(message.clone());
            }
        }
    }

    /// Adds a member, until the returned value is dropped.
    pub(crate) fn join(&self, room: &str, member: Sender) -> Seat {
        let id = member.info().id;
        if let Some(members) = self.lock().get_mut(room) {
            members.push(member);
        }
        Seat { rooms: self.clone(), room: room.to_owned(), id }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Sender>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A member's place in a room. It is left however the handler ends.
pub(crate) struct Seat {
    rooms: Rooms,
    room: String,
    id: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(members) = self.rooms.lock().get_mut(&self.room) {
            members.retain(|member| member.info().id != self.id);
        }
    }
}
