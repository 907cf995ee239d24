//! The handle to a topic.

use std::fmt;
use std::sync::Arc;

use towline_proto::{Compress, Message, Outgoing};

use crate::connection::sync::Ordering;
use crate::connection::{Group, Info, Sender, alone};
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::topics::event::TopicsEvent;
use crate::topics::relay::{Inlet, RelayFuture};
use crate::topics::state::{Hub, Publication, State};
use crate::topics::stats::TopicStats;

/// A topic, made by [`Topics::topic`](crate::topics::Topics::topic). Clones are cheap and refer to
/// the same topic, as do all handles of one name.
///
/// Connections [`join`](Self::join) it, and get what is [published](Self::publish) to it.
///
/// ```
/// # async fn example(server: towline::ServerHandle, mut connection: towline::Connection)
/// # -> towline::Result<()> {
/// let room = server.topics().topic("room/7")?;
/// room.join(&connection).await?;
/// while let Some(message) = connection.recv().await? {
///     room.publish_except(&connection, message).await;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Topic(pub(crate) Arc<State>);

impl Topic {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Makes a connection a member. It gets all messages that are published after this has returned,
    /// and none that were published on this node before it was called. Returns `false` if it was a
    /// member already.
    ///
    /// The connection leaves by itself when it begins to close. A membership does not keep it open.
    ///
    /// With a [relay](crate::topics::Relay), the first join of a topic waits until the relay's
    /// interest is known to stand. So the member gets all messages that other nodes publish after this
    /// has returned, too. It can also get some that they published before, if these arrive later.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the connection is closing or closed. [`ErrorKind::Relay`] if the relay
    /// can't subscribe to the topic; the connection is no member then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if this is dropped before it is ready, the connection is no member, unless it was
    /// one before.
    #[doc(alias = "subscribe")]
    pub fn join<S: AsRef<Sender> + ?Sized>(
        &self,
        member: &S,
    ) -> impl Future<Output = Result<bool>> + Send + use<S> {
        let (state, shared) = (self.0.clone(), member.as_ref().shared.clone());
        async move { state.join(&shared).await }
    }

    /// Ends a membership. Nothing that is not queued at the connection yet is delivered to it after
    /// this has returned. Returns `false` if it was no member.
    #[doc(alias = "unsubscribe")]
    pub fn leave(&self, member: &(impl AsRef<Sender> + ?Sized)) -> bool {
        self.0.leave(&member.as_ref().shared)
    }

    /// Publishes a message: each member gets it, on this node and, with a
    /// [relay](crate::topics::Relay), on all others.
    ///
    /// It waits for no member. It queues the message at once unless the delivery to this node's
    /// members is behind by more than
    /// [`max_queued_bytes`](crate::topics::TopicOptions::max_queued_bytes): then it waits for
    /// that, which only needs the processor. Members that are slow are skipped, or whatever
    /// [`when_full`](crate::topics::TopicOptions::when_full) says.
    ///
    /// If the relay has no [room](crate::topics::Relay::room) for another message, it returns when
    /// there is room, or when the relay stops waiting for the broker: after a second with `towline-nats`
    /// and `towline-redis`. The message is queued for this node's members and for the relay before
    /// that.
    ///
    /// The payload is shared between members, and compressed once for all that compress it alike, as
    /// by [`broadcast`](crate::Connections::broadcast). Messages that are published before the task
    /// yields leave together, in one write for each member.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is published to all, or to none if this is dropped while it waits for
    /// the delivery on this node. If it is dropped while it waits for the relay, the message is
    /// published.
    #[doc(alias("send", "emit", "broadcast"))]
    pub async fn publish<'m>(&self, message: impl Into<Outgoing<'m>>) {
        let (message, compress) = message.into().into_parts();
        self.0.publish(Publication { message, compress, except: None }).await;
    }

    /// Publishes a message to all members but one: for a chat, where the author knows the message
    /// already. Otherwise as [`publish`](Self::publish). Members on other nodes all get it.
    ///
    /// # Cancel safety
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_except<'m>(
        &self,
        except: &(impl AsRef<Sender> + ?Sized),
        message: impl Into<Outgoing<'m>>,
    ) {
        let except = Some(except.as_ref().info().id);
        let (message, compress) = message.into().into_parts();
        self.0.publish(Publication { message, compress, except }).await;
    }

    /// Returns the number of members on this node.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no members on this node.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the members on this node.
    pub fn members(&self) -> Vec<Arc<Info>> {
        self.0.all_members().iter().map(|shared| shared.info.clone()).collect()
    }

    /// Returns a sender to each member on this node.
    ///
    /// A connection is closed when its last handle is dropped, and a sender is a handle: don't hold
    /// it longer than needed.
    pub fn senders(&self) -> Vec<Sender> {
        self.0.all_members().into_iter().map(Sender::new).collect()
    }

    /// Returns whether a connection is a member.
    pub fn contains(&self, member: &(impl AsRef<Sender> + ?Sized)) -> bool {
        member.as_ref().shared.is_in(self.0.key())
    }

    /// Returns how many messages of this topic a member has missed since it joined, because it was
    /// slow.
    pub fn skipped(&self, member: &(impl AsRef<Sender> + ?Sized)) -> u64 {
        member.as_ref().shared.skipped(self.0.key())
    }

    /// Returns what the topic has done since it came to exist.
    pub fn stats(&self) -> TopicStats {
        self.0.stats()
    }
}

impl State {
    async fn publish(self: &Arc<Self>, publication: Publication) {
        self.admit(publication.message.len()).await;
        // There is no wait until it is published everywhere. If this is dropped before, it is published
        // nowhere.
        let relay = self.hub.relayed.as_ref().map(|relayed| &relayed.relay);
        self.published.fetch_add(1, Ordering::Relaxed);
        if let Some(relay) = relay {
            let Publication { message, compress, .. } = &publication;
            let outgoing = Outgoing::from(message).compress(*compress);
            if alone(|| relay.publish(&self.name, outgoing)).is_none() {
                self.hub.event(TopicsEvent::MessagesLost { messages: 1 });
            }
        }
        self.push(publication);
        // The message has its place already. This only slows the publisher down.
        if let Some(room) = relay.and_then(|relay| relay.room()) {
            room.await;
        }
    }
}

impl Group for State {
    fn left(self: Arc<Self>, id: u64) {
        self.forget(id);
        self.see_to_interest();
    }

    fn delivered_later(&self, messages: u64) {
        self.delivered.fetch_add(messages, Ordering::Relaxed);
    }
}

impl Inlet for Hub {
    fn deliver(
        &self,
        topic: &str,
        message: Message,
        compress: Compress,
    ) -> Option<RelayFuture<'static, ()>> {
        let state = self.find(topic)?;
        if state.len() == 0 {
            state.relayed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let len = message.len();
        let publication = Publication { message, compress, except: None };
        // Counted with the push: a future that is dropped has delivered nothing.
        if state.try_admit(len) {
            state.relayed.fetch_add(1, Ordering::Relaxed);
            state.push(publication);
            return None;
        }
        Some(Box::pin(async move {
            state.admit(len).await;
            state.relayed.fetch_add(1, Ordering::Relaxed);
            state.push(publication);
        }))
    }

    fn report(&self, event: TopicsEvent) {
        self.event(event);
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.len();
        f.debug_struct("Topic").field("name", &self.0.name).field("len", &len).finish()
    }
}
