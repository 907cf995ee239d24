//! One message to all connections of a server.

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;

use towline_proto::{Broadcast, Compress, Message, Outgoing};

use crate::connection::{Delivered, Info, WhenFull, Work};
use crate::server::connections::{Connections, alone};

/// What a broadcast has come to.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Delivery {
    /// How many connections have taken the message into their outgoing queues.
    pub sent: usize,
    /// The connections that had no room for it: left out, kept waiting, or closed, as
    /// [`WhenFull`] says.
    pub full: Vec<Arc<Info>>,
}

/// A message on its way to all connections, made by [`Connections::broadcast`]. Await it.
#[derive(Debug)]
#[must_use = "a broadcast is sent when it is awaited"]
pub struct Broadcasting {
    connections: Connections,
    message: Message,
    compress: Compress,
    when_full: WhenFull,
}

impl Connections {
    /// Sends a message to all connections, and waits for none of them: what becomes of those that
    /// have no room is for [`when_full`](Broadcasting::when_full) to say.
    ///
    /// The payload is shared: it is not copied for each connection, but for a small one, which is
    /// copied beside its header. With [compression](crate::Config::compression), it is compressed
    /// once for all connections that make the same of it, and shared as well; with context takeover
    /// in the server's direction, once for each.
    ///
    /// Other tasks have their turn after some dozens of connections.
    ///
    /// ```
    /// # async fn example(server: towline::ServerHandle) {
    /// use towline::WhenFull;
    ///
    /// server.connections().broadcast("ship ahoy").await;
    /// let prices = server.connections().broadcast("{\"rum\": 7}").when_full(WhenFull::KeepNewest);
    /// let delivery = prices.await;
    /// println!("{} sent, {} are slow", delivery.sent, delivery.full.len());
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: those connections whose turn had not come by then don't get the message.
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
    /// Sets what becomes of connections that have no room. Default: [`WhenFull::Skip`].
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    async fn send(self) -> Delivery {
        let Self { connections, message, compress, when_full } = self;
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
