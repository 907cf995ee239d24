//! The relay of a node, whatever its broker is.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;
use towline_proto::Outgoing;

use crate::relaying::mailbox::Mailbox;
use crate::relaying::options::InterestTimeout;
use crate::topics::{Incoming, Relay, RelayError, RelayFuture};

/// How long what is queued may take to leave after the relay is dropped.
const LAST: Duration = Duration::from_secs(5);

/// What differs from one broker to the next: the connection, and how to subscribe. A [`Node`] makes a
/// relay of it.
///
/// # An example
///
/// A channel of tokio is a broker for nodes of one process.
///
/// ```
/// use std::sync::Arc;
/// use tokio::sync::{Mutex, broadcast};
/// use tokio::sync::broadcast::error::RecvError;
/// use towline::bytes::Bytes;
/// use towline::relaying::{Broker, Mailbox, Node, NodeOptions};
/// use towline::topics::{RelayError, Topics};
///
/// struct Local {
///     mailbox: Mailbox,
///     sends: broadcast::Sender<(String, Bytes)>,
///     hears: Mutex<broadcast::Receiver<(String, Bytes)>>,
/// }
///
/// impl Broker for Local {
///     fn mailbox(&self) -> &Mailbox {
///         &self.mailbox
///     }
///
///     async fn run(self: Arc<Self>) {
///         let mut hears = self.hears.lock().await;
///         loop {
///             tokio::select! {
///                 next = self.mailbox.outbox().next() => match next {
///                     Some(message) => drop(self.sends.send(message)),
///                     None => return, // The node is dropped.
///                 },
///                 heard = hears.recv() => match heard {
///                     Ok((topic, payload)) => self.mailbox.received(&topic.into(), payload),
///                     Err(RecvError::Lagged(messages)) => self.mailbox.losses().add(messages),
///                     Err(RecvError::Closed) => return,
///                 },
///             }
///         }
///     }
///
///     async fn subscribe(self: &Arc<Self>, _: &str) -> Result<(), RelayError> {
///         Ok(()) // All messages go to all nodes.
///     }
///
///     async fn unsubscribe(&self, _: &str) {}
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> towline::Result<()> {
/// let sends = broadcast::Sender::new(256);
/// let node = || {
///     let mailbox = Mailbox::new(NodeOptions::default().prefix(""));
///     let hears = Mutex::new(sends.subscribe());
///     let relay = Node::new(Local { mailbox, sends: sends.clone(), hears });
///     Topics::builder().relay(relay).build()
/// };
/// let nodes = [node(), node()];
/// nodes[0].topic("room/7")?.publish("ship ahoy").await;
/// # let heard = nodes[1].topic("room/7")?;
/// # while heard.stats().relayed == 0 {
/// #     tokio::task::yield_now().await;
/// # }
/// # Ok(())
/// # }
/// ```
pub trait Broker: Send + Sync + 'static {
    /// Returns the node's queues, the same ones each time.
    fn mailbox(&self) -> &Mailbox;

    /// Returns the address of a topic on the broker, such as a subject or a channel. Different topics have
    /// different addresses. Default: the [prefix](crate::relaying::NodeOptions::prefix), and the name.
    fn address(&self, topic: &str) -> String {
        [&self.mailbox().options().prefix, topic].concat()
    }

    /// Works until the node is dropped. Called once, when the topics are built, and spawned there.
    ///
    /// It takes messages from [`Mailbox::outbox`] and writes them, and hands in what arrives by
    /// [`Mailbox::received`]; it can spawn other tasks for a part of that, which it ends. When the
    /// connection is lost, it calls [`Mailbox::lost`], connects again, subscribes again to all that was
    /// subscribed to, and calls [`Mailbox::back`].
    ///
    /// The node is dropped when [`Outbox::next`](crate::relaying::Outbox::next) returns `None`. Then the
    /// future has what is left of 5 s to end, and is dropped after that. If it ends or panics before, the
    /// node calls [`Mailbox::lost`].
    fn run(self: Arc<Self>) -> impl Future<Output = ()> + Send + 'static;

    /// Subscribes to a topic. When it returns `Ok`, the subscription is known to stand: what any other
    /// node publishes from then on arrives. Being called twice is no error. While the broker is lost, it
    /// waits.
    ///
    /// If this fails, or takes longer than the
    /// [limit](crate::relaying::NodeOptions::interest_timeout), then [`unsubscribe`](Self::unsubscribe) is
    /// called, in a task. The next call for this topic waits for that.
    ///
    /// # Errors
    ///
    /// An error makes [`Topic::join`](crate::topics::Topic::join) fail. At the limit, that is an
    /// [`InterestTimeout`].
    ///
    /// # Cancel safety
    ///
    /// The future is dropped at the limit.
    fn subscribe(
        self: &Arc<Self>,
        topic: &str,
    ) -> impl Future<Output = Result<(), RelayError>> + Send;

    /// Ends a subscription, or what an attempt has left of one. When it returns, nothing of the topic is
    /// handed in any more, until it is subscribed to again.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped at the limit.
    fn unsubscribe(&self, topic: &str) -> impl Future<Output = ()> + Send;
}

/// A [`Relay`] by a [`Broker`]. `towline-nats` and `towline-redis` are such nodes.
///
/// It encodes and decodes the messages, lets publishers wait for room, limits the time for a subscription,
/// and reports losses. When it is dropped, the broker's task has 5 s to write what is queued.
///
/// [`Broker`] has an example.
pub struct Node<B: Broker> {
    broker: Arc<B>,
    running: OnceLock<Running>,
    /// Subscriptions that have failed, and the tasks that undo them.
    undoing: Mutex<HashMap<String, JoinHandle<()>>>,
}

/// The tasks, and the runtime that the relay was started on.
struct Running {
    broker: AbortHandle,
    /// Ends after the broker's.
    watcher: JoinHandle<()>,
    reporter: JoinHandle<()>,
    runtime: Handle,
}

impl<B: Broker> Node<B> {
    /// Returns a relay, for [`TopicsBuilder::relay`](crate::topics::TopicsBuilder::relay).
    pub fn new(broker: B) -> Self {
        Self { broker: Arc::new(broker), running: OnceLock::new(), undoing: Mutex::default() }
    }

    /// Returns how many messages the node knows that it has lost, in either direction.
    pub fn messages_lost(&self) -> u64 {
        self.mailbox().losses().total()
    }

    fn mailbox(&self) -> &Mailbox {
        self.broker.mailbox()
    }

    async fn subscribe(&self, topic: &str) -> Result<(), RelayError> {
        let limit = self.mailbox().options().interest_timeout;
        let subscribing = async {
            // It began earlier and has the same limit.
            let undoing = self.undoing().remove(topic);
            if let Some(undoing) = undoing {
                let _ = undoing.await;
            }
            self.broker.subscribe(topic).await
        };
        let subscribed = match timeout(limit, subscribing).await {
            Ok(subscribed) => subscribed,
            Err(_) => Err(InterestTimeout { limit }.into()),
        };
        if subscribed.is_err() {
            self.undo(topic);
        }
        subscribed
    }

    /// Ends what an attempt has left, without the caller's time.
    fn undo(&self, topic: &str) {
        let (broker, owned) = (self.broker.clone(), topic.to_owned());
        let undoing = tokio::spawn(async move { unsubscribe(&*broker, &owned).await });
        let mut all = self.undoing();
        all.retain(|_, undoing| !undoing.is_finished());
        all.insert(topic.to_owned(), undoing);
    }

    fn undoing(&self) -> MutexGuard<'_, HashMap<String, JoinHandle<()>>> {
        self.undoing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn unsubscribe(broker: &impl Broker, topic: &str) {
    let limit = broker.mailbox().options().interest_timeout;
    // The broker that does not answer is lost, or about to be.
    let _ = timeout(limit, broker.unsubscribe(topic)).await;
}

/// Says that the broker is lost if its task ends before the node is dropped: nobody else would.
async fn watch(broker: JoinHandle<()>, mailbox: Mailbox) {
    let ended = broker.await;
    if mailbox.outbox().is_ended() {
        return;
    }
    mailbox.lost(match ended {
        Err(error) if error.is_panic() => "the broker's task has panicked",
        _ => "the broker's task has ended",
    });
}

impl<B: Broker> Relay for Node<B> {
    fn start(&self, incoming: Incoming) {
        if !self.mailbox().start(&incoming) {
            return;
        }
        let mailbox = self.mailbox().clone();
        let broker = tokio::spawn(self.broker.clone().run());
        let _ = self.running.set(Running {
            broker: broker.abort_handle(),
            watcher: tokio::spawn(watch(broker, mailbox.clone())),
            reporter: tokio::spawn(async move { mailbox.losses().report(&incoming).await }),
            runtime: Handle::current(),
        });
    }

    fn publish(&self, topic: &str, message: Outgoing<'_>) {
        self.mailbox().publish(self.broker.address(topic), message);
    }

    fn room(&self) -> Option<RelayFuture<'_, ()>> {
        self.mailbox().outbox().room()
    }

    fn interest<'a>(
        &'a self,
        topic: &'a str,
        wanted: bool,
    ) -> RelayFuture<'a, Result<(), RelayError>> {
        Box::pin(async move {
            if wanted {
                return self.subscribe(topic).await;
            }
            unsubscribe(&*self.broker, topic).await;
            Ok(())
        })
    }
}

impl<B: Broker> Drop for Node<B> {
    fn drop(&mut self) {
        self.mailbox().outbox().end();
        let Some(running) = self.running.take() else { return };
        let Running { broker, watcher, reporter, runtime } = running;
        reporter.abort();
        // What is queued leaves, if the broker takes it. This thread may have no runtime.
        runtime.spawn(async move {
            if timeout(LAST, watcher).await.is_err() {
                broker.abort();
            }
        });
    }
}

impl<B: Broker> fmt::Debug for Node<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("prefix", &self.mailbox().options().prefix)
            .field("id", &self.mailbox().id())
            .field("messages_lost", &self.messages_lost())
            .finish_non_exhaustive()
    }
}
