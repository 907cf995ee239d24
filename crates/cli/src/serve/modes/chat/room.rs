//! A room of a chat: who is in it, and the last that was said.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use tokio::sync::Mutex;
use towline::topics::{Topic, Topics};
use towline::{Connection, Error};

use crate::serve::modes::chat::taken::Names;
use crate::serve::modes::chat::words::{News, Said, Welcome};

/// How much of what was said is kept for those who join later.
const KEPT: usize = 50;

/// How many names a newcomer is told.
const NAMED: usize = 200;

/// The topics of clients that read JSON begin with this.
pub(crate) const DETAILED: &str = "json/";

/// The topics of clients that read lines begin with this.
const PLAIN: &str = "text/";

/// A room. It exists while somebody is in it.
pub(crate) struct Room {
    pub(crate) name: String,
    detailed: Topic,
    plain: Topic,
    people: AtomicUsize,
    /// Locked while something is published, so that all see the same order.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    names: Names,
    said: VecDeque<Said>,
    said_total: u64,
    /// The last person has left, and the next needs another room of the same name.
    is_over: bool,
}

impl Room {
    pub(crate) fn new(topics: &Topics, name: &str) -> Result<Self, Error> {
        Ok(Self {
            name: name.to_owned(),
            detailed: topics.topic(format!("{DETAILED}{name}"))?,
            plain: topics.topic(format!("{PLAIN}{name}"))?,
            people: AtomicUsize::new(0),
            state: Mutex::default(),
        })
    }

    /// How many people are here.
    pub(crate) fn people(&self) -> usize {
        self.people.load(Ordering::Relaxed)
    }

    /// Lets somebody in, under this name or a similar one that is free. Returns the name, or `None` if
    /// the room is no longer used.
    pub(crate) async fn join(
        &self,
        connection: &Connection,
        wanted: &str,
        is_detailed: bool,
    ) -> Result<Option<String>, Error> {
        let mut state = self.state.lock().await;
        if state.is_over {
            return Ok(None);
        }
        let name = state.names.add(connection.id(), wanted);
        self.people.store(state.names.len(), Ordering::Relaxed);
        let topic = if is_detailed { &self.detailed } else { &self.plain };
        topic.join(connection).await?;
        let said: Vec<_> = state.said.iter().collect();
        let welcome = Welcome {
            room: &self.name,
            you: &name,
            names: state.names.all().take(NAMED).collect(),
            people: state.names.len(),
            said: &said,
        };
        let welcome = if is_detailed { welcome.json() } else { welcome.line() };
        connection.send(welcome).await?;
        self.tell(connection, &News::Joined(&name), state.names.len(), true).await;
        Ok(Some(name))
    }

    /// Lets somebody out. Returns whether the room is no longer used.
    pub(crate) async fn leave(&self, connection: &Connection) -> bool {
        let mut state = self.state.lock().await;
        if let Some(name) = state.names.remove(connection.id()) {
            let people = state.names.len();
            self.people.store(people, Ordering::Relaxed);
            self.tell(connection, &News::Left(&name), people, true).await;
        }
        state.is_over = state.names.is_empty();
        state.is_over
    }

    /// Says something to all others, and to the author if it reads JSON: with its number, it is the
    /// receipt.
    pub(crate) async fn say(&self, connection: &Connection, text: String) {
        let mut state = self.state.lock().await;
        let Some(from) = state.names.get(connection.id()).map(str::to_owned) else { return };
        state.said_total += 1;
        let said = Said { number: state.said_total, from, text, at: now() };
        self.tell(connection, &News::Said(&said), state.names.len(), false).await;
        state.said.push_back(said);
        if state.said.len() > KEPT {
            state.said.pop_front();
        }
    }

    /// Changes a name, unless it is taken.
    pub(crate) async fn rename(&self, connection: &Connection, to: String) -> Result<(), String> {
        let mut state = self.state.lock().await;
        let people = state.names.len();
        let Some(from) = state.names.rename(connection.id(), &to)? else { return Ok(()) };
        self.tell(connection, &News::Renamed { from: &from, to: &to }, people, false).await;
        Ok(())
    }

    /// The names of those who are here, and how many there are.
    pub(crate) async fn names(&self) -> (Vec<String>, usize) {
        let state = self.state.lock().await;
        (state.names.all().take(NAMED).map(str::to_owned).collect(), state.names.len())
    }

    /// Tells all. `author` is told if it reads JSON, unless `is_known`.
    async fn tell(&self, author: &Connection, news: &News<'_>, people: usize, is_known: bool) {
        if !self.plain.is_empty() {
            self.plain.publish_except(author, news.line()).await;
        }
        if self.detailed.is_empty() {
            return;
        }
        match is_known {
            true => self.detailed.publish_except(author, news.json(people)).await,
            false => self.detailed.publish(news.json(people)).await,
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
