//! Events of topics.

use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};

/// An event of topics with a relay, see [`Topics::events`](crate::topics::Topics::events).
///
/// [`TopicsEvents`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicsEvent {
    /// The relay has lost its broker. Messages are delivered on each node, and not between nodes.
    RelayLost {
        /// Why, in words.
        reason: Arc<str>,
    },
    /// The relay has its broker back, and all interest stands again. Messages that other nodes
    /// published meanwhile are lost.
    RelayBack,
    /// The relay has lost messages that it knows of.
    MessagesLost {
        /// How many.
        messages: u64,
    },
    /// The relay gets no messages of this topic any more, since the broker refuses its interest. Members
    /// on this node stay members. The relay asks again when all have left and the next one joins.
    InterestLost {
        /// The name of the topic.
        topic: Arc<str>,
    },
    /// This many events were missed, because they came faster than they were received.
    Missed(u64),
}

/// A subscription to the events of topics, see [`Topics::events`](crate::topics::Topics::events).
///
/// ```
/// # async fn example(topics: towline::topics::Topics) {
/// use towline::topics::TopicsEvent;
///
/// let mut events = topics.events();
/// while let Some(event) = events.next().await {
///     match event {
///         TopicsEvent::RelayLost { reason } => println!("without other nodes: {reason}"),
///         TopicsEvent::RelayBack => println!("with other nodes again"),
///         _ => {}
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct TopicsEvents(pub(crate) broadcast::Receiver<TopicsEvent>);

impl TopicsEvents {
    /// Waits for the next event. Returns `None` once the topics are gone.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<TopicsEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(count)) => Some(TopicsEvent::Missed(count)),
            Err(RecvError::Closed) => None,
        }
    }
}
