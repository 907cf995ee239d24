//! The rooms of the app. Who is in them is known by their topics.

use std::collections::HashSet;
use std::sync::Arc;

use towline::topics::{Topic, Topics};

/// The app's state. Clones share the rooms.
#[derive(Clone)]
pub(crate) struct Rooms {
    names: Arc<HashSet<String>>,
    topics: Topics,
}

impl Rooms {
    pub(crate) fn new<const N: usize>(topics: Topics, names: [&str; N]) -> Self {
        let names = names.map(str::to_owned).into_iter().collect();
        Self { names: Arc::new(names), topics }
    }

    /// A topic is made when it is asked for. So clients must not choose its name freely.
    pub(crate) fn get(&self, name: &str) -> Option<Topic> {
        if self.names.contains(name) { self.topics.topic(name).ok() } else { None }
    }
}
