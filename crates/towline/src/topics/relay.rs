//! Topics over many nodes.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use towline_proto::{Compress, Message, Outgoing};

use crate::topics::event::TopicsEvent;

/// A boxed future.
///
/// [`Relay`] has an example.
pub type RelayFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The error of a relay.
///
/// [`Relay`] has an example.
pub type RelayError = Box<dyn StdError + Send + Sync>;

/// Carries messages of topics between nodes, over a broker such as NATS or Redis. Set it with
/// [`TopicsBuilder::relay`](crate::topics::TopicsBuilder::relay).
///
/// A node tells the relay which topics have members on it, publishes each message to the relay once,
/// and delivers what arrives to its own members. Delivery on the same node does not go through the
/// relay, and does not wait for it.
///
/// # What an implementation promises
///
/// - Once [`interest`](Self::interest) in a topic has returned `Ok`, every message that another node
///   publishes afterwards arrives, unless it is lost: delivery is at most once.
/// - Messages that one node publishes to one topic arrive in the order of the calls of
///   [`publish`](Self::publish), each at most once.
/// - A node's own messages do not come back to it.
/// - When the broker is lost, the relay connects again and restores all interest by itself, and says
///   so: [`Incoming::lost`], [`Incoming::back`], [`Incoming::messages_lost`].
/// - Text stays text, binary stays binary, and a message that must not be compressed stays so.
/// - Dropping the relay ends its tasks. It is dropped with the last handle to the topics.
///
/// # An example
///
/// A relay between several [`Topics`](crate::topics::Topics) of one process. `towline-nats` and
/// `towline-redis` are relays by brokers, made of the parts in [`relaying`](crate::relaying), as this is.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use towline::Outgoing;
/// use towline::relaying::{Inbox, Losses};
/// use towline::topics::{Incoming, Relay, RelayError, RelayFuture};
///
/// struct Neighbour {
///     own: usize,
///     all: Arc<Mutex<Vec<Option<Inbox>>>>,
/// }
///
/// impl Relay for Neighbour {
///     fn start(&self, incoming: Incoming) {
///         let inbox = Inbox::new(incoming, Arc::new(Losses::new()), 1 << 20);
///         self.all.lock().unwrap()[self.own] = Some(inbox);
///     }
///
///     fn publish(&self, topic: &str, message: Outgoing<'_>) {
///         let (topic, (message, compress)) = (Arc::from(topic), message.into_parts());
///         for (node, inbox) in self.all.lock().unwrap().iter().enumerate() {
///             if let Some(inbox) = inbox.as_ref().filter(|_| node != self.own) {
///                 inbox.push(&topic, message.clone(), compress);
///             }
///         }
///     }
///
///     fn interest<'a>(&'a self, _: &'a str, _: bool) -> RelayFuture<'a, Result<(), RelayError>> {
///         Box::pin(async { Ok(()) }) // All messages go to all nodes.
///     }
/// }
/// ```
pub trait Relay: Send + Sync + 'static {
    /// Called once, before anything else, when the topics are built. Messages and events that arrive
    /// go to `incoming`.
    fn start(&self, incoming: Incoming);

    /// Sends a message to the other nodes. It must not block: queue the message, and write it in a
    /// task. Called in the order in which each publisher publishes, possibly from several threads.
    ///
    /// If the relay has no room, or no broker, it drops the message and reports it by
    /// [`Incoming::messages_lost`].
    fn publish(&self, topic: &str, message: Outgoing<'_>);

    /// Returns a future that is ready when [`publish`](Self::publish) has room, or `None` if it has
    /// room now. Each publisher waits for it after it has published, so it must not wait for a broker
    /// that is gone. It reserves nothing: other publishers publish meanwhile, so accept some messages
    /// beyond it. Default: `None`.
    fn room(&self) -> Option<RelayFuture<'_, ()>> {
        None
    }

    /// Sets whether this node wants the messages of a topic. Called when the first connection joins,
    /// and after the last one has left; never twice at once for one topic.
    ///
    /// It returns `Ok` to `wanted` when the interest is known to stand: a message that any other node
    /// publishes from then on arrives. Being called twice with the same value is no error. The future
    /// is not dropped before it is ready, except when the runtime ends.
    ///
    /// # Errors
    ///
    /// An error makes [`Topic::join`](crate::topics::Topic::join) fail. The interest does not stand
    /// then. After an error for `wanted = false` nothing more is done, and messages that arrive are
    /// dropped.
    fn interest<'a>(
        &'a self,
        topic: &'a str,
        wanted: bool,
    ) -> RelayFuture<'a, Result<(), RelayError>>;
}

/// What receives from a relay.
pub(crate) trait Inlet: Send + Sync {
    /// Delivers a message. Returns a future if that has to wait.
    fn deliver(
        &self,
        topic: &str,
        message: Message,
        compress: Compress,
    ) -> Option<RelayFuture<'static, ()>>;

    fn report(&self, event: TopicsEvent);
}

/// The way from a [`Relay`] to the topics of this node. Clones refer to the same topics. It does not
/// keep them alive.
///
/// [`Relay`] has an example.
#[derive(Clone)]
pub struct Incoming(pub(crate) Weak<dyn Inlet>);

impl Incoming {
    /// Delivers a message of another node to the members on this node. A topic without members
    /// ignores it.
    ///
    /// It waits only while the topic's own queue is
    /// [full](crate::topics::TopicOptions::max_queued_bytes), which depends on this node's processor.
    /// Await each call before the next one: messages of a topic are delivered in this order.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is delivered to all members or to none.
    pub async fn deliver<'m>(&self, topic: &str, message: impl Into<Outgoing<'m>>) {
        let waiting = self.try_deliver(topic, message.into());
        if let Some(waiting) = waiting {
            waiting.await;
        }
    }

    fn try_deliver(&self, topic: &str, message: Outgoing<'_>) -> Option<RelayFuture<'static, ()>> {
        let inlet = self.0.upgrade()?;
        let (message, compress) = message.into_parts();
        inlet.deliver(topic, message, compress)
    }

    /// Reports that the broker is lost, with the reason in words.
    pub fn lost(&self, reason: impl fmt::Display) {
        self.report(TopicsEvent::RelayLost { reason: Arc::from(reason.to_string()) });
    }

    /// Reports that the broker is back and all interest stands again.
    pub fn back(&self) {
        self.report(TopicsEvent::RelayBack);
    }

    /// Reports that the broker refuses the interest in a topic that stood before.
    pub fn interest_lost(&self, topic: &str) {
        self.report(TopicsEvent::InterestLost { topic: Arc::from(topic) });
    }

    /// Reports that this many messages are lost, in either direction.
    pub fn messages_lost(&self, messages: u64) {
        self.report(TopicsEvent::MessagesLost { messages });
    }

    /// Returns whether the topics are gone.
    pub fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }

    fn report(&self, event: TopicsEvent) {
        if let Some(inlet) = self.0.upgrade() {
            inlet.report(event);
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("is_over", &self.is_over()).finish()
    }
}
