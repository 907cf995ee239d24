//! Topics: what one publishes, all members get.

mod options;

mod stats;

mod event;

mod relay;

mod queue;

mod state;

mod delivery;

mod interest;

mod topic;

mod builder;

use std::fmt;
use std::sync::Arc;

pub use builder::TopicsBuilder;
pub use event::{TopicsEvent, TopicsEvents};
pub use options::{SlowMember, TopicOptions};
pub use relay::{Incoming, Relay, RelayError, RelayFuture};
pub use stats::{TopicStats, TopicsStats};
pub use topic::Topic;

#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::topics::state::Hub;

/// All topics of a node. Clones are cheap and refer to the same topics.
///
/// A server has its own, [`ServerHandle::topics`](crate::ServerHandle::topics). Topics that are made
/// here are for connections of any origin, such as those of several servers or of a web framework.
#[derive(Clone)]
pub struct Topics(pub(crate) Arc<Hub>);

impl Topics {
    /// Returns topics with default options and without a relay.
    pub fn new() -> Self {
        Self(Hub::new(None, None))
    }

    /// Returns a builder, to set options and a relay.
    pub fn builder() -> TopicsBuilder {
        TopicsBuilder::default()
    }

    /// Returns the topic of this name, which comes to exist if it does not. It exists as long as it
    /// has members or handles.
    ///
    /// A name is any string of at most 512 bytes. There are no wildcards.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTopic`] for a longer name.
    pub fn topic(&self, name: impl AsRef<str>) -> Result<Topic> {
        self.0.topic(name.as_ref()).map(Topic)
    }

    /// Returns the topic of this name, if it exists.
    pub fn get(&self, name: impl AsRef<str>) -> Option<Topic> {
        self.0.find(name.as_ref()).map(Topic)
    }

    /// Returns all topics that exist.
    pub fn all(&self) -> Vec<Topic> {
        self.0.all().into_iter().map(Topic).collect()
    }

    /// Returns the names of all topics that exist.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.0.all().iter().map(|state| state.name.clone()).collect()
    }

    /// Returns how many topics exist.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether no topic exists.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns what all topics have done so far, including those that are gone. It looks at each
    /// topic, and at no member.
    pub fn stats(&self) -> TopicsStats {
        self.0.stats()
    }

    /// Subscribes to events of the [relay](Relay). Without one, there are none. Each subscriber gets
    /// the events that come after this call. Up to 256 events are kept for a slow subscriber. Then the
    /// oldest are dropped, and [`TopicsEvent::Missed`] says how many.
    pub fn events(&self) -> TopicsEvents {
        TopicsEvents(self.0.subscribe())
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").field("len", &self.len()).finish_non_exhaustive()
    }
}
