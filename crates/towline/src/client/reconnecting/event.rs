//! Events of a reconnecting client.

use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};

use crate::client::reconnecting::ending::Ending;

/// A change of state of a [reconnecting client](crate::Reconnecting), see
/// [`ReconnectHandle::events`](crate::ReconnectHandle::events).
///
/// [`ReconnectHandle`](crate::ReconnectHandle) has an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ReconnectEvent {
    /// An attempt begins.
    Connecting {
        /// The number of the attempt, see [`Attempt::number`](crate::Attempt::number).
        attempt: u32,
    },
    /// A connection is established.
    Connected,
    /// The connection ended. [`Waiting`](Self::Waiting), [`GaveUp`](Self::GaveUp) or
    /// [`Ended`](Self::Ended) follows.
    Lost {
        /// How it ended.
        why: Ending,
    },
    /// The next attempt begins after this delay.
    Waiting {
        /// The delay from now.
        delay: Duration,
        /// How the attempt or the connection before ended.
        why: Ending,
    },
    /// There will be no further attempt, because the last failure is fatal or a limit is reached.
    /// [`Reconnecting::next`](crate::Reconnecting::next) returns the error. This is the last event.
    GaveUp {
        /// The last failure.
        why: Ending,
    },
    /// There will be no further attempt, because one of the ends closed the connection as intended, or the
    /// program [stopped](crate::ReconnectHandle::stop) or dropped the client. This is the last event.
    Ended {
        /// How the connection ended, or `None` if the program stopped or dropped the client.
        why: Option<Ending>,
    },
    /// This many events were missed, because they came faster than they were received.
    Missed(u64),
}

/// A subscription to the events of a [reconnecting client](crate::Reconnecting), see
/// [`ReconnectHandle::events`](crate::ReconnectHandle::events).
///
/// [`ReconnectHandle`](crate::ReconnectHandle) has an example.
#[derive(Debug)]
pub struct ReconnectEvents(pub(crate) broadcast::Receiver<ReconnectEvent>);

impl ReconnectEvents {
    /// Waits for the next event. Returns `None` after the last one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<ReconnectEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(count)) => Some(ReconnectEvent::Missed(count)),
            Err(RecvError::Closed) => None,
        }
    }
}
