//! What a node and its broker share.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use towline_proto::Outgoing;

use crate::relaying::envelope::{Envelope, NodeId};
use crate::relaying::inbox::Inbox;
use crate::relaying::losses::Losses;
use crate::relaying::options::NodeOptions;
use crate::relaying::outbox::Outbox;
use crate::topics::Incoming;

/// The queues between a [`Node`](crate::relaying::Node) and its [`Broker`](crate::relaying::Broker), the
/// node's id, and its count of losses. Clones refer to the same ones.
///
/// A broker makes it, takes messages from its [`outbox`](Self::outbox), and hands in what it has
/// [`received`](Self::received). It says when the connection is [`lost`](Self::lost), and when it is
/// [`back`](Self::back).
///
/// [`Broker`](crate::relaying::Broker) has an example.
#[derive(Clone)]
pub struct Mailbox(Arc<Shared>);

struct Shared {
    options: NodeOptions,
    id: NodeId,
    outbox: Outbox,
    losses: Arc<Losses>,
    /// Once the relay has started.
    inward: OnceLock<(Incoming, Inbox)>,
}

impl Mailbox {
    /// Returns empty queues, with a random id.
    pub fn new(options: NodeOptions) -> Self {
        Self(Arc::new(Shared {
            id: NodeId::random(),
            outbox: Outbox::new(options.max_outbox_bytes),
            losses: Arc::new(Losses::new()),
            inward: OnceLock::new(),
            options,
        }))
    }

    /// Returns the options of the node.
    pub fn options(&self) -> &NodeOptions {
        &self.0.options
    }

    /// Returns the node's id.
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// Returns the queue to the broker. Each message has the
    /// [address](crate::relaying::Broker::address) of its topic.
    pub fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    /// Returns the count of lost messages, for those that the broker refuses or drops.
    pub fn losses(&self) -> &Losses {
        &self.0.losses
    }

    /// Takes a payload that the broker has sent, and delivers the message to the members on this node, in
    /// the order of these calls, which must not be concurrent for one topic. It never waits.
    ///
    /// The node's own messages are dropped. Bytes that are no [`Envelope`] are dropped and counted as
    /// lost, as is a message that has no room in the queue.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, if it has to queue the message.
    pub fn received(&self, topic: &Arc<str>, payload: Bytes) {
        let Some((_, inbox)) = self.0.inward.get() else { return };
        match Envelope::decode(payload) {
            Ok(envelope) if envelope.node == Some(self.0.id) => {}
            Ok(envelope) => inbox.push(topic, envelope.message, envelope.compress),
            Err(error) => {
                tracing::debug!(topic = &**topic, %error, "a message from the broker is dropped");
                self.0.losses.add(1);
            }
        }
    }

    /// Says that the broker is lost, with the reason in words. What is queued on its way to the broker is
    /// dropped, and counted as lost. Until it is [`back`](Self::back), the node's messages are lost, and
    /// no publisher waits.
    pub fn lost(&self, reason: impl fmt::Display) {
        let Shared { outbox, losses, .. } = &*self.0;
        losses.add(outbox.shut());
        let reason = reason.to_string();
        tracing::warn!(reason, "the relay has lost its broker");
        if let Some((incoming, _)) = self.0.inward.get() {
            losses.report_now(incoming);
            incoming.lost(reason);
        }
    }

    /// Says that the broker is back, and that all subscriptions stand again.
    pub fn back(&self) {
        let Shared { outbox, losses, .. } = &*self.0;
        outbox.open();
        tracing::info!("the relay has its broker back");
        if let Some((incoming, _)) = self.0.inward.get() {
            losses.report_now(incoming);
            incoming.back();
        }
    }

    /// Says that the broker refuses a subscription that stood before.
    pub fn interest_lost(&self, topic: &str) {
        if let Some((incoming, _)) = self.0.inward.get() {
            incoming.interest_lost(topic);
        }
    }

    /// Lets messages in. Returns whether none could come in before.
    pub(super) fn start(&self, incoming: &Incoming) -> bool {
        let Shared { options, losses, inward, .. } = &*self.0;
        let inbox = Inbox::new(incoming.clone(), losses.clone(), options.max_inbox_bytes);
        inward.set((incoming.clone(), inbox)).is_ok()
    }

    /// Queues a message to the broker.
    pub(super) fn publish(&self, address: String, message: Outgoing<'_>) {
        let payload = Envelope::encode(self.0.id, message);
        if self.0.outbox.push(address, payload).is_err() {
            self.0.losses.add(1);
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("id", &self.0.id)
            .field("options", &self.0.options)
            .field("losses", &self.0.losses.total())
            .finish_non_exhaustive()
    }
}
