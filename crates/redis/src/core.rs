//! What the tasks of a relay share.

use std::collections::HashMap;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use redis::aio::PubSubSink;
use redis::{Msg, RedisError};
use tokio::sync::watch;
use towline::relaying::Mailbox;

use crate::error::Error;
use crate::session::Session;

pub(crate) struct Core {
    pub(crate) client: redis::Client,
    pub(crate) mailbox: Mailbox,
    /// The first connections, until the relay runs.
    first: Mutex<Option<Session>>,
    /// The channels that this node wants.
    wanted: Mutex<HashMap<String, Wanted>>,
    /// Where to subscribe, while there is a connection. All that was wanted before it came is
    /// subscribed to.
    pub(crate) session: watch::Sender<Option<PubSubSink>>,
}

/// A channel that this node wants.
struct Wanted {
    topic: Arc<str>,
    /// Whether the broker has confirmed a subscription to it, and has not refused one since.
    stands: bool,
}

impl Core {
    pub(crate) fn new(client: redis::Client, mailbox: Mailbox, first: Session) -> Self {
        let (wanted, session) = (Mutex::default(), watch::Sender::new(None));
        Self { client, mailbox, first: Mutex::new(Some(first)), wanted, session }
    }

    pub(crate) fn take_first(&self) -> Option<Session> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn wanted(&self) -> MutexGuard<'_, HashMap<String, Wanted>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all_wanted(&self) -> Vec<String> {
        self.wanted().keys().cloned().collect()
    }

    /// Begins a session that has subscribed to these channels. If some of them are not wanted any more,
    /// it does not begin: unsubscribe from them, which are returned, and try again. After the beginning,
    /// it is each [`unsubscribe_from`](Self::unsubscribe_from) that does so.
    pub(crate) fn begin(&self, sink: &PubSubSink, subscribed: &[String]) -> Vec<String> {
        let wanted = self.wanted();
        let is_stale = |channel: &&String| !wanted.contains_key(*channel);
        let stale: Vec<_> = subscribed.iter().filter(is_stale).cloned().collect();
        if stale.is_empty() {
            self.session.send_replace(Some(sink.clone()));
        }
        stale
    }

    /// Subscribes to the channel of a topic. When this has returned, the broker knows: it waits for the
    /// reply, over as many connections as it takes.
    pub(crate) async fn subscribe_to(&self, topic: &str, channel: String) -> Result<(), Error> {
        let wanted = Wanted { topic: topic.into(), stands: false };
        self.wanted().insert(channel.clone(), wanted);
        let mut sessions = self.session.subscribe();
        loop {
            let session = sessions.borrow_and_update().clone();
            if let Some(mut session) = session {
                match session.subscribe(&channel).await {
                    Ok(()) => {
                        self.confirm(&channel);
                        return Ok(());
                    }
                    Err(error) if !is_over(&error) => return Err(Error::Refused(error)),
                    Err(_) => {}
                }
            }
            // The sender is in `self`, so there is a next one.
            let _ = sessions.changed().await;
        }
    }

    fn confirm(&self, channel: &str) {
        if let Some(wanted) = self.wanted().get_mut(channel) {
            wanted.stands = true;
        }
    }

    /// The broker refuses to repeat a subscription on a new connection: the user has lost the right to
    /// it. A join that waits for its first subscription learns of a refusal by its own attempt.
    pub(crate) fn refuse(&self, channel: &str, error: &RedisError) {
        let topic = self
            .wanted()
            .get_mut(channel)
            .and_then(|wanted| take(&mut wanted.stands).then(|| wanted.topic.clone()));
        if let Some(topic) = topic {
            tracing::debug!(topic = &*topic, %error, "Redis refuses a subscription that stood");
            self.mailbox.interest_lost(&topic);
        }
    }

    pub(crate) async fn unsubscribe_from(&self, channel: String) {
        self.wanted().remove(&channel);
        let session = self.session.borrow().clone();
        if let Some(mut session) = session {
            // Without a reply, the connection is lost, or about to be.
            let _ = session.unsubscribe(channel).await;
        }
    }

    pub(crate) fn received(&self, message: &Msg) {
        let topic =
            self.wanted().get(message.get_channel_name()).map(|wanted| wanted.topic.clone());
        if let Some(topic) = topic {
            self.mailbox.received(&topic, Bytes::copy_from_slice(message.get_payload_bytes()));
        }
    }
}

/// Whether an error ends the connection.
pub(crate) fn is_over(error: &RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error()
}
