//! Topics: each connection that has joined one gets the messages that are published to it.
//!
//! For chat rooms, prices, presence, games: whatever one says to many. [`ServerHandle::topics`] are
//! those of a server; [`Topics::new`] makes others, for a web framework or for several servers.
//!
//! ```
//! # async fn example(request: towline::Request, server: towline::ServerHandle)
//! # -> towline::Result<()> {
//! let mut connection = request.accept().await?;
//! let room = server.topics().topic("room/7")?;
//! room.join(&connection).await?;
//! while let Some(message) = connection.recv().await? {
//!     room.publish(message).await;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! On one node:
//!
//! - **Order.** Messages that one publisher publishes to one topic, one after the other, reach each
//!   member in that order. All members get the messages of several publishers in the same order. There
//!   is no order between topics.
//! - **Whole and once.** A message is never torn, and never delivered twice.
//! - **From the join on.** A member gets everything that is published after
//!   [`join`](Topic::join) has returned, and nothing that was published before it was called. After
//!   [`leave`](Topic::leave) has returned, nothing more is queued for it.
//! - **At most once.** A member that is slow misses messages, as [`WhenFull`] says. They are counted
//!   for each [member](Topic::skipped) and each [topic](Topic::stats), and the member can be
//!   [told](TopicOptions::notice). Nothing else is skipped. What is queued at a connection that is then
//!   lost is lost with it.
//! - **Nobody waits for a member.** [`publish`](Topic::publish) is ready at once, unless this node is
//!   behind with its own work, or a [relay](Relay::room) slows its publishers down. A peer that stops reading costs a bounded amount of memory, and delays
//!   no other member.
//! - **Bursts leave together.** Messages that are published before the publisher yields, or while
//!   earlier ones are being delivered, are one write for each member, as far as there is room.
//! - **Built once.** The payload is shared by the members, and compressed once for all that compress it
//!   alike.
//! - **Fair.** Delivery to many members lets other tasks run in between.
//!
//! A message is lost on this node in one more case: the runtime ends that the publisher ran on, while
//! members live on another one. Those that were not reached do not get the message.
//!
//! Between nodes, over a [`Relay`], delivery is at most once, and the order of each publisher and topic
//! is kept. A message of another node that is published after [`join`](Topic::join) has returned
//! arrives, unless the broker loses it: see [`TopicsEvent`].
//!
//! # What it costs
//!
//! A connection that is in no topic has nothing for them but a pointer. The first topic of a connection
//! costs about 110 bytes, each further one about 70; a topic about 400 and its name. Publishing locks
//! the topic for a moment and does not look at the members. A task delivers, and lives as long as there is something
//! to deliver. Topics share no lock that every publisher takes.
//!
//! # The life of a topic
//!
//! A topic exists while it has members or handles. Then nothing is left of it, except in the sums of
//! [`Topics::stats`]. A membership does not keep a connection open, and ends when the connection begins
//! to close.
//!
//! [`ServerHandle::topics`]: crate::ServerHandle::topics

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
pub use options::TopicOptions;
pub use relay::{Incoming, Relay, RelayError, RelayFuture};
pub use stats::{TopicStats, TopicsStats};
pub use topic::Topic;

#[cfg(doc)]
use crate::connection::WhenFull;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::topics::state::Hub;

/// All topics of a node. Clones are cheap and refer to the same topics.
///
/// A server has its own, [`ServerHandle::topics`](crate::ServerHandle::topics). Topics that are made
/// here are for connections of any origin, such as those of several servers or of a web framework.
///
/// [`Topic`] has an example.
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
    /// topic, and at no member. A topic that goes while another thread is in this call can be missing in
    /// it.
    pub fn stats(&self) -> TopicsStats {
        self.0.stats()
    }

    /// Subscribes to events of the [relay](Relay). Without one, there are none. Each subscriber gets
    /// the events that come after this call. Up to 256 events are kept for a slow subscriber. Then the
    /// oldest are dropped, and [`TopicsEvent::Missed`] says how many.
    pub fn events(&self) -> TopicsEvents {
        TopicsEvents(self.0.subscribe())
    }

    /// Returns whether the [relay](Relay) is without its broker, so that messages reach the members on
    /// this node only: for a health check. It is `true` from [`TopicsEvent::RelayLost`] to
    /// [`TopicsEvent::RelayBack`], and always `false` without a relay.
    ///
    /// To miss no change, subscribe to [`events`](Self::events) before asking.
    ///
    /// ```
    /// # fn example(topics: &towline::topics::Topics) {
    /// let status = if topics.is_relay_lost() { 503 } else { 200 };
    /// # }
    /// ```
    pub fn is_relay_lost(&self) -> bool {
        self.0.is_relay_lost()
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
