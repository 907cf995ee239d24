//! A chat in axum: rooms with a broadcast channel each, and a shutdown that closes every connection.

pub mod towline;
pub mod tungstenite;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How many messages of a room a slow member can be behind.
const BEHIND: usize = 256;

/// The rooms. Clones share them.
#[derive(Clone)]
pub(crate) struct Rooms(Arc<[Room; 2]>);

struct Room {
    name: &'static str,
    users: Mutex<HashSet<String>>,
    said: broadcast::Sender<String>,
}

impl Rooms {
    pub(crate) fn new() -> Self {
        let room =
            |name| Room { name, users: Mutex::default(), said: broadcast::channel(BEHIND).0 };
        Self(Arc::new([room("harbour"), room("sea")]))
    }

    /// Adds a user to a room, or returns the status to refuse the request with.
    pub(crate) fn enter(&self, name: &str, user: &str) -> Result<Seat, StatusCode> {
        let index =
            self.0.iter().position(|room| room.name == name).ok_or(StatusCode::NOT_FOUND)?;
        let room = &self.0[index];
        if !room.users().insert(user.to_owned()) {
            return Err(StatusCode::CONFLICT);
        }
        let said = room.said.subscribe();
        let seat = Seat { rooms: self.clone(), index, user: user.to_owned(), said };
        seat.tell(format!("{user} joins"));
        Ok(seat)
    }
}

impl Room {
    fn users(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A user's place in a room, which dropping it leaves.
pub(crate) struct Seat {
    rooms: Rooms,
    index: usize,
    user: String,
    said: broadcast::Receiver<String>,
}

impl Seat {
    /// Says something to everybody in the room.
    pub(crate) fn say(&self, text: &str) {
        self.tell(format!("{}: {text}", self.user));
    }

    /// Returns the next message of the room. A member that is too slow misses some.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            match self.said.recv().await {
                Ok(text) => return Some(text),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn tell(&self, text: String) {
        // It fails if nobody listens.
        let _ = self.rooms.0[self.index].said.send(text);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.rooms.0[self.index].users().remove(&self.user);
        self.tell(format!("{} leaves", self.user));
    }
}
