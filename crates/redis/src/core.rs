//! What the relay and its tasks share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use redis::Msg;
use redis::aio::PubSubSink;
use tokio::sync::watch;
use tokio::time::timeout;
use towline::relaying::{Envelope, Inbox, Losses, NodeId, Outbox};

use crate::error::Error;

pub(crate) struct Core {
    pub(crate) client: redis::Client,
    pub(crate) prefix: String,
    pub(crate) node: NodeId,
    pub(crate) interest_timeout: Duration,
    pub(crate) outbox: Outbox,
    pub(crate) losses: Arc<Losses>,
    pub(crate) inbox: OnceLock<Inbox>,
    pub(crate) max_inbox_bytes: usize,
    /// The channels that this node wants, and their topics.
    wanted: Mutex<HashMap<String, Arc<str>>>,
    /// Where to subscribe, while there is a connection. All that was wanted before it came is
    /// subscribed to.
    pub(crate) session: watch::Sender<Option<PubSubSink>>,
}

/// The options that it keeps.
pub(crate) struct Options {
    pub(crate) prefix: String,
    pub(crate) interest_timeout: Duration,
    pub(crate) max_outbox_bytes: usize,
    pub(crate) max_inbox_bytes: usize,
}

impl Core {
    pub(crate) fn new(client: redis::Client, options: Options) -> Self {
        Self {
            client,
            prefix: options.prefix,
            node: NodeId::random(),
            interest_timeout: options.interest_timeout,
            outbox: Outbox::new(options.max_outbox_bytes),
            losses: Arc::new(Losses::new()),
            inbox: OnceLock::new(),
            max_inbox_bytes: options.max_inbox_bytes,
            wanted: Mutex::new(HashMap::new()),
            session: watch::Sender::new(None),
        }
    }

    pub(crate) fn channel(&self, topic: &str) -> String {
        [&self.prefix, topic].concat()
    }

    fn wanted(&self) -> MutexGuard<'_, HashMap<String, Arc<str>>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all_wanted(&self) -> Vec<String> {
        self.wanted().keys().cloned().collect()
    }

    /// Begins a session that has subscribed to these channels. If some of them are not wanted any more,
    /// it does not begin: unsubscribe from them, which are returned, and try again. After the beginning,
    /// it is each [`unsubscribe`](Self::unsubscribe) that does so.
    pub(crate) fn begin(&self, sink: &PubSubSink, subscribed: &[String]) -> Vec<String> {
        let wanted = self.wanted();
        let is_stale = |channel: &&String| !wanted.contains_key(*channel);
        let stale: Vec<_> = subscribed.iter().filter(is_stale).cloned().collect();
        if stale.is_empty() {
            self.session.send_replace(Some(sink.clone()));
        }
        stale
    }

    /// Subscribes to a topic. When this has returned, the broker knows.
    pub(crate) async fn subscribe(&self, topic: &str) -> Result<(), Error> {
        let channel = self.channel(topic);
        self.wanted().insert(channel.clone(), topic.into());
        let limit = self.interest_timeout;
        let subscribed = timeout(limit, self.confirm(&channel)).await;
        let subscribed = subscribed.unwrap_or(Err(Error::Timeout(limit)));
        if subscribed.is_err() {
            self.unsubscribe(topic).await;
        }
        subscribed
    }

    /// Waits for the broker's reply, over as many connections as it takes.
    async fn confirm(&self, channel: &str) -> Result<(), Error> {
        let mut sessions = self.session.subscribe();
        loop {
            let session = sessions.borrow_and_update().clone();
            if let Some(mut session) = session {
                match session.subscribe(channel).await {
                    Ok(()) => return Ok(()),
                    Err(error) if !is_over(&error) => return Err(Error::Refused(error)),
                    Err(_) => {}
                }
            }
            if sessions.changed().await.is_err() {
                // Only while the relay is dropped.
                return Err(Error::Timeout(self.interest_timeout));
            }
        }
    }

    pub(crate) async fn unsubscribe(&self, topic: &str) {
        let channel = self.channel(topic);
        self.wanted().remove(&channel);
        let session = self.session.borrow().clone();
        if let Some(mut session) = session {
            // Without a reply, the connection is lost, or about to be.
            let _ = timeout(self.interest_timeout, session.unsubscribe(channel)).await;
        }
    }

    pub(crate) fn received(&self, message: &Msg) {
        let Some(inbox) = self.inbox.get() else { return };
        let Some(topic) = self.wanted().get(message.get_channel_name()).cloned() else { return };
        let bytes = message.get_payload_bytes();
        match Envelope::decode(Bytes::copy_from_slice(bytes)) {
            Ok(envelope) if envelope.node == Some(self.node) => {}
            Ok(envelope) => inbox.push(&topic, envelope.message, envelope.compress),
            Err(error) => {
                tracing::debug!(topic = &*topic, %error, "a message from Redis is dropped");
                self.losses.add(1);
            }
        }
    }
}

/// Whether an error ends the connection.
pub(crate) fn is_over(error: &redis::RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error()
}
