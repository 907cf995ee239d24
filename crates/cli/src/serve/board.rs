//! What the console shows of the mode, as JSON: its topics, or its rooms.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use towline::topics::{Topic, TopicStats, Topics};

use crate::serve::modes::Service;
use crate::serve::modes::chat::RoomStats;
use crate::topics::PROTOCOL;

/// How many topics or rooms to list: those with the most members.
const LISTED: usize = 200;

/// How long a list is good for, since a list looks at every topic.
const FRESH: Duration = Duration::from_millis(500);

/// The mode, and the last list. Clones share it.
#[derive(Clone)]
pub(crate) struct Board {
    service: Service,
    last: Arc<Mutex<Option<(Instant, Bytes)>>>,
}

impl Board {
    pub(crate) fn new(service: Service) -> Self {
        Self { service, last: Arc::default() }
    }

    /// The word for the mode.
    pub(crate) fn mode(&self) -> &'static str {
        self.service.name()
    }

    /// The mode alone, as JSON: what a client that may not see the list has to know. `needs_token` says that
    /// the token would show it.
    pub(crate) fn only_mode(&self, needs_token: bool) -> Bytes {
        let mut mode = json!({ "mode": self.mode() });
        if needs_token {
            mode["needs"] = json!("token");
        }
        mode.to_string().into()
    }

    /// The list, as JSON.
    pub(crate) fn json(&self) -> Bytes {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, list)) = &*last
            && made.elapsed() < FRESH
        {
            return list.clone();
        }
        let list = Bytes::from(self.list());
        *last = Some((Instant::now(), list.clone()));
        list
    }

    fn list(&self) -> String {
        match (self.service.name(), self.service.topics(), self.service.rooms()) {
            ("topics", Some(topics), _) => topics_list(topics),
            (name, _, Some(rooms)) => rooms_list(name, rooms),
            (name, _, _) => json!({ "mode": name }).to_string(),
        }
    }
}

fn topics_list(topics: &Topics) -> String {
    let sums = topics.stats();
    let mut all: Vec<(Topic, TopicStats)> =
        topics.all().into_iter().map(|topic| (topic.clone(), topic.stats())).collect();
    all.sort_unstable_by(|(a, of_a), (b, of_b)| {
        (Reverse(of_a.members), a.name()).cmp(&(Reverse(of_b.members), b.name()))
    });
    let listed: Vec<_> = all
        .iter()
        .take(LISTED)
        .map(|(topic, stats)| {
            json!({
                "name": topic.name(), "members": stats.members, "published": stats.published,
                "relayed": stats.relayed, "delivered": stats.delivered, "skipped": stats.skipped,
            })
        })
        .collect();
    json!({
        "mode": "topics", "protocol": PROTOCOL, "topics": sums.topics, "members": sums.members,
        "published": sums.published, "relayed": sums.relayed, "delivered": sums.delivered,
        "skipped": sums.skipped, "list": listed,
    })
    .to_string()
}

fn rooms_list(mode: &str, mut rooms: Vec<RoomStats>) -> String {
    rooms.sort_unstable_by(|a, b| (Reverse(a.people), &a.name).cmp(&(Reverse(b.people), &b.name)));
    let listed: Vec<_> = rooms
        .iter()
        .take(LISTED)
        .map(|room| json!({ "name": room.name, "people": room.people }))
        .collect();
    json!({ "mode": mode, "rooms": rooms.len(), "list": listed }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_the_sums_are_not() {
        let topics = Topics::new();
        let handles: Vec<_> =
            (0..LISTED + 5).map(|number| topics.topic(format!("{number:04}")).unwrap()).collect();
        let list: serde_json::Value = serde_json::from_str(&topics_list(&topics)).unwrap();
        assert_eq!(list["topics"], handles.len());
        assert_eq!(list["list"].as_array().unwrap().len(), LISTED);
        assert_eq!(list["list"][0]["name"], "0000");
    }

    #[test]
    fn the_fullest_rooms_are_first() {
        let rooms = [("b", 1), ("a", 1), ("c", 2)];
        let rooms = rooms.map(|(name, people)| RoomStats { name: name.to_owned(), people });
        let list: serde_json::Value =
            serde_json::from_str(&rooms_list("chat", rooms.into())).unwrap();
        let names: Vec<_> =
            list["list"].as_array().unwrap().iter().map(|room| &room["name"]).collect();
        assert_eq!(names, ["c", "a", "b"]);
    }
}
