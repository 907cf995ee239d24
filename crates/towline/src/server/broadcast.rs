//! One message to all connections of a server.

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;

use towline_proto::{Broadcast, Compress, Message, Outgoing};

use crate::connection::{Delivered, Info, WhenFull, Work, alone};
use crate::server::connections::Connections;

/// The result of a broadcast.
///
/// [`Connections::broadcast`] has an example.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Delivery {
    /// How many connections have queued the message.
    pub sent: usize,
    /// The connections whose queue had no room for it. [`WhenFull`] says whether they were skipped,
    /// wait for room, or were closed.
    pub full: Vec<Arc<Info>>,
}

/// A message being sent to all connections, made by [`Connections::broadcast`]. Await it.
#[derive(Debug)]
#[must_use = "a broadcast is sent when it is awaited"]
pub struct Broadcasting {
    connections: Connections,
    message: Message,
    compress: Compress,
    when_full: WhenFull,
}

impl Connections {
    /// Sends a message to all connections without waiting for any of them.
    /// [`when_full`](Broadcasting::when_full) sets what happens to connections whose queue is full.
    ///
    /// The payload is shared between connections, not copied; only small ones are copied next to
    /// their header. With [compression](crate::Config::compression), the message is compressed once
    /// for all connections that compress it alike, and the result is shared as well. With context
    /// takeover in the server's direction it is compressed once for each connection.
    ///
    /// Yields to other tasks after some dozens of connections.
    ///
    /// ```
    /// # async fn example(server: towline::ServerHandle) {
    /// use std::num::NonZeroUsize;
    /// use towline::WhenFull;
    ///
    /// server.connections().broadcast("ship ahoy").await;
    /// let newest = WhenFull::KeepNewest(NonZeroUsize::MIN);
    /// let delivery = server.connections().broadcast("{\"rum\": 7}").when_full(newest).await;
    /// println!("{} sent, {} are slow", delivery.sent, delivery.full.len());
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the connections not reached yet do not get the message.
    #[doc(alias("try_broadcast", "broadcastUTF", "broadcastBytes"))]
    pub fn broadcast<'m>(&self, message: impl Into<Outgoing<'m>>) -> Broadcasting {
        let (message, compress) = message.into().into_parts();
        Broadcasting {
            connections: self.clone(),
            message,
            compress,
            when_full: WhenFull::default(),
        }
    }
}

impl Broadcasting {
    /// Sets what happens to connections whose queue is full. Default: [`WhenFull::Skip`].
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    async fn send(self) -> Delivery {
        let Self { connections, message, compress, when_full } = self;
        connections.note_broadcast();
        let mut broadcast = Broadcast::new(message);
        let mut delivery = Delivery::default();
        let mut work = Work::default();
        for shared in connections.all() {
            let mut outgoing = Outgoing::from(&mut broadcast).compress(compress);
            match alone(|| shared.send_broadcast(&mut outgoing, when_full, &mut work)) {
                Some(Delivered::Sent) => delivery.sent += 1,
                Some(Delivered::Full) => delivery.full.push(shared.info.clone()),
                Some(Delivered::Closing) | None => {}
            }
            drop(shared);
            poll_fn(|cx| work.poll_pay(cx)).await;
        }
        delivery
    }
}

impl IntoFuture for Broadcasting {
    type Output = Delivery;
    type IntoFuture = Pin<Box<dyn Future<Output = Delivery> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
