//! A chat: a room for each path, and a name for each person.

mod words;

mod taken;

mod room;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use serde_json::json;
use towline::topics::{TopicOptions, Topics};
use towline::{Accept, Connection, Error, Message, Request};

use crate::quantity::counted;
use crate::serve::modes::chat::room::{DETAILED, Room};
use crate::serve::modes::chat::words::{HELP, PROTOCOL, Wish};
use crate::serve::modes::names;
use crate::serve::modes::visit::{Done, Mode};
use crate::serve::percent;
use crate::serve::tally::Tally;

/// The name of people who give none.
const GUEST: &str = "guest";

/// State shared by all connections.
pub(crate) struct Chat {
    /// Two for each room: people read JSON or lines.
    pub(crate) topics: Topics,
    rooms: Mutex<HashMap<String, Arc<Room>>>,
    /// What was said.
    tally: Tally,
}

/// A room in a list.
#[derive(Debug)]
pub(crate) struct RoomStats {
    pub(crate) name: String,
    pub(crate) people: usize,
}

/// Where somebody wants to be, and under which name.
pub(crate) struct Entry {
    room: String,
    name: String,
}

/// Somebody in a room.
struct Guest<'c> {
    chat: &'c Chat,
    connection: Connection,
    room: &'c Room,
    is_detailed: bool,
    said: u64,
}

impl Chat {
    pub(crate) fn new() -> Self {
        let topics = Topics::builder().options(|name| {
            let is_detailed = name.starts_with(DETAILED);
            TopicOptions::default().notice(move |messages| {
                let missed = counted(messages, "message");
                Message::text(match is_detailed {
                    true => json!({ "skipped": messages }).to_string(),
                    false => format!("* {missed} skipped: this connection is slow"),
                })
            })
        });
        Self { topics: topics.build(), rooms: Mutex::default(), tally: Tally::default() }
    }

    /// The rooms that there are.
    pub(crate) fn rooms(&self) -> Vec<RoomStats> {
        let rooms = self.lock();
        let stats =
            rooms.values().map(|room| RoomStats { name: room.name.clone(), people: room.people() });
        stats.collect()
    }

    /// Lets a connection into its room. Returns the room and the name there.
    async fn join(
        &self,
        connection: &Connection,
        entry: &Entry,
    ) -> Result<(Arc<Room>, String), Error> {
        let is_detailed = connection.protocol() == Some(PROTOCOL);
        loop {
            let room = match self.lock().get(&entry.room).cloned() {
                Some(room) => room,
                None => Arc::new(Room::new(&self.topics, &entry.room)?),
            };
            // Another connection may have made one meanwhile.
            let room = self.lock().entry(entry.room.clone()).or_insert(room).clone();
            match room.join(connection, &entry.name, is_detailed).await {
                Ok(Some(name)) => return Ok((room, name)),
                // Its last person is leaving.
                Ok(None) => tokio::task::yield_now().await,
                Err(error) => {
                    self.leave(connection, &room).await;
                    return Err(error);
                }
            }
        }
    }

    async fn leave(&self, connection: &Connection, room: &Arc<Room>) {
        if room.leave(connection).await {
            let mut rooms = self.lock();
            if rooms.get(&room.name).is_some_and(|known| Arc::ptr_eq(known, room)) {
                rooms.remove(&room.name);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mode for Chat {
    type Seat = Entry;

    async fn accept(&self, request: Request) -> Result<Option<(Connection, Entry)>, Error> {
        let wanted = percent::parameter(request.query(), "name");
        let name = match wanted.as_deref().map(str::trim) {
            None | Some("") => Ok(GUEST.to_owned()),
            Some(name) => names::person(name),
        };
        let entry =
            names::room(request.path()).and_then(|room| name.map(|name| Entry { room, name }));
        match entry {
            Ok(entry) => {
                let accept = Accept::new().protocols([PROTOCOL]);
                Ok(Some((request.accept_with(accept).await?, entry)))
            }
            Err(why) => {
                request.reject(StatusCode::BAD_REQUEST, why).await?;
                Ok(None)
            }
        }
    }

    async fn attend(&self, connection: Connection, entry: Entry, _: &str) -> Done {
        let (room, _) = match self.join(&connection, &entry).await {
            Ok(joined) => joined,
            Err(error) => return Done { what: "nothing said".to_owned(), error: Some(error) },
        };
        let is_detailed = connection.protocol() == Some(PROTOCOL);
        let mut guest = Guest { chat: self, connection, room: &room, is_detailed, said: 0 };
        let error = guest.run().await.err();
        self.leave(&guest.connection, &room).await;
        Done { what: format!("{} said in {}", counted(guest.said, "message"), room.name), error }
    }

    fn summary(&self) -> String {
        self.tally.in_words("said")
    }
}

impl Guest<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        while let Some(message) = self.connection.recv().await? {
            let wish = match message.as_text() {
                None => Err("a binary message: send text".to_owned()),
                Some(text) if self.is_detailed => Wish::of_json(text),
                Some(line) => Wish::of_line(line),
            };
            let done = match wish {
                Ok(wish) => self.grant(wish).await,
                Err(why) => Err(why),
            };
            let answer = match done {
                Ok(answer) => answer,
                Err(why) if self.is_detailed => Some(json!({ "error": why }).to_string()),
                Err(why) => Some(format!("* {why}")),
            };
            if let Some(answer) = answer {
                // If sending fails, receiving returns how the connection ended.
                let _ = self.connection.send(answer).await;
            }
        }
        Ok(())
    }

    /// Does what is wanted. Returns the answer, if there is one.
    async fn grant(&mut self, wish: Wish) -> Result<Option<String>, String> {
        match wish {
            Wish::Say(text) => {
                self.chat.tally.add(text.len());
                self.room.say(&self.connection, text).await;
                self.said += 1;
                Ok(None)
            }
            Wish::Rename(name) => {
                let name = names::person(&name)?;
                self.room.rename(&self.connection, name.clone()).await?;
                Ok((!self.is_detailed).then(|| format!("* you are now {name}")))
            }
            Wish::Who => {
                let (names, people) = self.room.names().await;
                let more = match people - names.len() {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                Ok(Some(format!("* here: {}{more}", names.join(", "))))
            }
            Wish::Help => Ok(Some(format!("* {HELP}"))),
        }
    }
}
