//! The queue of messages on their way from a broker.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use towline_proto::{Compress, Message, Outgoing};

use crate::relaying::losses::Losses;
use crate::topics::Incoming;

/// What a message counts beside its payload.
const OVERHEAD: usize = 64;

/// The bounded queue of messages on their way from a broker to the members.
///
/// A relay that does not read from its broker's client soon makes the client, or the broker itself,
/// drop messages or the whole connection. So [`push`](Self::push) never waits. It delivers a message
/// at once, unless the delivery of its topic is behind; then it queues the message behind the earlier
/// ones of the topic. Other topics go on. Messages that have no room are dropped, and counted as lost.
///
/// Clones refer to the same queue.
///
/// [`Relay`](crate::topics::Relay) has an example of a relay.
#[derive(Debug, Clone)]
pub struct Inbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    incoming: Incoming,
    losses: Arc<Losses>,
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    /// Those of topics that are behind. Each has a task, which ends when its queue is empty.
    queues: HashMap<Arc<str>, VecDeque<(Message, Compress)>>,
}

impl Inbox {
    /// Returns a queue of at most this many bytes for all topics together. Each message counts as its
    /// payload and 64 bytes more.
    pub fn new(incoming: Incoming, losses: Arc<Losses>, max_bytes: usize) -> Self {
        Self(Arc::new(Shared { incoming, losses, max_bytes, state: Mutex::default() }))
    }

    /// Delivers a message of another node, or queues it. The messages of a topic are delivered in
    /// the order of these calls, which must not be concurrent for one topic.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, if it has to queue the message.
    pub fn push(&self, topic: &Arc<str>, message: Message, compress: Compress) {
        let shared = &self.0;
        let is_behind = shared.lock().queues.contains_key(topic);
        if is_behind || !shared.try_deliver(topic, &message, compress) {
            shared.queue(topic, message, compress);
        }
    }
}

impl Shared {
    /// Returns whether the message is delivered, which takes no wait.
    fn try_deliver(&self, topic: &str, message: &Message, compress: Compress) -> bool {
        let delivering = self.incoming.deliver(topic, Outgoing::from(message).compress(compress));
        // It is cancel safe: if it is not ready, nobody has got the message.
        let mut context = Context::from_waker(Waker::noop());
        matches!(pin!(delivering).poll(&mut context), Poll::Ready(()))
    }

    fn queue(self: &Arc<Self>, topic: &Arc<str>, message: Message, compress: Compress) {
        let mut state = self.lock();
        let cost = cost(&message);
        if state.bytes.saturating_add(cost) > self.max_bytes {
            drop(state);
            self.losses.add(1);
            return;
        }
        state.bytes += cost;
        if let Some(queue) = state.queues.get_mut(topic) {
            queue.push_back((message, compress));
            return;
        }
        state.queues.insert(topic.clone(), VecDeque::from([(message, compress)]));
        drop(state);
        tokio::spawn(self.clone().deliver(topic.clone()));
    }

    /// The task of a topic that is behind.
    async fn deliver(self: Arc<Self>, topic: Arc<str>) {
        loop {
            let (message, compress) = {
                let mut state = self.lock();
                match state.queues.get_mut(&topic).and_then(VecDeque::pop_front) {
                    Some(next) => next,
                    None => {
                        state.queues.remove(&topic);
                        return;
                    }
                }
            };
            let cost = cost(&message);
            self.incoming.deliver(&topic, Outgoing::from(message).compress(compress)).await;
            self.lock().bytes -= cost;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(message: &Message) -> usize {
    message.len().saturating_add(OVERHEAD)
}
