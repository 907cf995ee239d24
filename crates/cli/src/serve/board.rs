//! What the console shows of the topics, as JSON.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use towline::topics::{Topic, TopicStats, Topics};

use crate::topics::PROTOCOL;

/// How many topics to list: those with the most members.
const LISTED: usize = 200;

/// How long a list is good for, since a list looks at every topic.
const FRESH: Duration = Duration::from_millis(500);

/// The topics, and the last list. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    topics: Option<Topics>,
    last: Arc<Mutex<Option<(Instant, Bytes)>>>,
}

impl Board {
    /// Shows these topics. Without topics, the server echoes.
    pub(crate) fn new(topics: Option<Topics>) -> Self {
        Self { topics, last: Arc::default() }
    }

    /// The list, as JSON.
    pub(crate) fn json(&self) -> Bytes {
        let Some(topics) = &self.topics else { return Bytes::from_static(b"{\"mode\":\"echo\"}") };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, list)) = &*last
            && made.elapsed() < FRESH
        {
            return list.clone();
        }
        let list = Bytes::from(list(topics));
        *last = Some((Instant::now(), list.clone()));
        list
    }
}

fn list(topics: &Topics) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_the_sums_are_not() {
        let topics = Topics::new();
        let handles: Vec<_> =
            (0..LISTED + 5).map(|number| topics.topic(format!("{number:04}")).unwrap()).collect();
        let board = Board::new(Some(topics));
        let list: serde_json::Value = serde_json::from_slice(&board.json()).unwrap();
        assert_eq!(list["topics"], handles.len());
        assert_eq!(list["list"].as_array().unwrap().len(), LISTED);
        assert_eq!(list["list"][0]["name"], "0000");
        // A list is made once for all who ask.
        drop(handles);
        assert_eq!(board.json(), serde_json::to_vec(&list).unwrap());
        assert_eq!(Board::new(None).json(), "{\"mode\":\"echo\"}");
    }
}
