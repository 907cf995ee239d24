//! The options of a relay.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, ServerAddr, ToServerAddrs};
use percent_encoding::percent_decode_str;
use towline::relaying::{Mailbox, Node, NodeOptions};

use crate::core::Core;
use crate::error::Error;
use crate::events::Events;
use crate::relay::NatsRelay;
use crate::subject;

/// How often the state of a connection is looked at that the program brings, since its events go
/// elsewhere.
const POLL: Duration = Duration::from_millis(100);

/// The same for the relay's own connections. Events say more, and sooner; but the client drops them
/// if there are many.
const RARE_POLL: Duration = Duration::from_secs(1);

/// How often the broker is pinged by default. The client gives a connection up at the third ping
/// without an answer.
const PING_INTERVAL: Duration = Duration::from_secs(10);

impl NatsRelay {
    /// Connects to a broker, with default options.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] if there is no connection, and [`Error::Client`] if an address is wrong.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if it is dropped, the connection is closed.
    pub async fn connect(addresses: impl ToServerAddrs) -> Result<Self, Error> {
        Self::builder().connect(addresses).await
    }

    /// Returns a builder, to set options or to bring a client.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

/// Sets up a relay; made by [`NatsRelay::builder`].
///
/// ```no_run
/// # async fn example() -> Result<(), towline_nats::Error> {
/// use towline_nats::{NatsRelay, async_nats::ConnectOptions};
///
/// let relay = NatsRelay::builder()
///     .prefix("chat.")
///     .connect_options(ConnectOptions::new().token("secret".into()))
///     .connect(["nats://10.0.0.1:4222", "nats://10.0.0.2:4222"].as_slice())
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    node: NodeOptions,
    options: Option<ConnectOptions>,
}

impl Builder {
    /// Sets what the subjects of all topics begin with. Nodes with different prefixes share no
    /// topics. Default: `towline.`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.node = self.node.prefix(prefix);
        self
    }

    /// Sets the options of the connection: name, credentials, TLS, and more. The relay sets the
    /// callback for events. Default: those of [`ConnectOptions`], with the name `towline` and a ping
    /// every 10 s.
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.options = Some(options);
        self
    }

    /// Sets how long the broker may take to confirm a subscription. While the broker is lost, the
    /// first join of a topic on this node waits for that long, and then fails with an
    /// [`InterestTimeout`](towline::relaying::InterestTimeout). Default: 5 s.
    pub fn interest_timeout(mut self, limit: Duration) -> Self {
        self.node = self.node.interest_timeout(limit);
        self
    }

    /// Sets how many bytes can be queued on their way to the broker. When half of it is in use,
    /// publishers wait, at most a second each. Messages that have no room are lost. The client holds up
    /// to 1 MiB and one message more, whatever its
    /// [`client_capacity`](ConnectOptions::client_capacity) is. Default: 8 MiB.
    pub fn max_outbox_bytes(mut self, bytes: usize) -> Self {
        self.node = self.node.max_outbox_bytes(bytes);
        self
    }

    /// Sets how many bytes can be queued on their way from the broker to members on this node, when
    /// the delivery is behind. Messages that have no room are lost. Default: 64 MiB.
    pub fn max_inbox_bytes(mut self, bytes: usize) -> Self {
        self.node = self.node.max_inbox_bytes(bytes);
        self
    }

    /// Connects to a broker, or to one of several in a cluster.
    ///
    /// A name and a password, or a token, can be in the URL, unless there are
    /// [`connect_options`](Self::connect_options): `nats://user:password@host`, `nats://token@host`.
    ///
    /// # Errors
    ///
    /// [`Error::Prefix`] if the prefix is wrong, and [`Error::Client`] if an address is.
    /// [`Error::Connect`] if there is no connection, unless
    /// [`ConnectOptions::retry_on_initial_connect`] is set: then the relay is without its broker
    /// until there is one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if it is dropped, the connection is closed.
    pub async fn connect(self, addresses: impl ToServerAddrs) -> Result<NatsRelay, Error> {
        let mailbox = self.mailbox()?;
        let events = Arc::new(Events::new(mailbox.clone()));
        let addresses = addresses.to_server_addrs().map_err(|error| Error::Client(error.into()))?;
        let addresses: Vec<ServerAddr> = addresses.collect();
        let options = self.options.unwrap_or_else(|| default_options(&addresses));
        let told = events.clone();
        let options = options.event_callback(move |event| {
            told.handle(event);
            std::future::ready(())
        });
        let client = options.connect(addresses).await.map_err(Error::Connect)?;
        let core = Core::new(client, mailbox, events, RARE_POLL).await?;
        Ok(NatsRelay(Node::new(core)))
    }

    /// Makes a relay of a client that the program has already. The client's connection can be shared.
    ///
    /// The relay looks at the state of the connection ten times a second, since the client's events
    /// go to the program. For the same reason, it does not count messages that the client drops
    /// because a subscription is full (`Event::SlowConsumer`), and does not know of subscriptions
    /// that the broker refuses. Prefer [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`Error::Prefix`] if the prefix is wrong. [`Error::Client`] if the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn client(self, client: Client) -> Result<NatsRelay, Error> {
        let mailbox = self.mailbox()?;
        let events = Arc::new(Events::new(mailbox.clone()));
        let core = Core::new(client, mailbox, events, POLL).await?;
        Ok(NatsRelay(Node::new(core)))
    }

    fn mailbox(&self) -> Result<Mailbox, Error> {
        subject::check(&self.node.prefix)?;
        Ok(Mailbox::new(self.node.clone()))
    }
}

/// The client ignores the credentials in URLs.
fn default_options(addresses: &[ServerAddr]) -> ConnectOptions {
    let options = ConnectOptions::new().name("towline").ping_interval(PING_INTERVAL);
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let of_url = |address: &ServerAddr| {
        address.username().map(|name| (decoded(name), address.password().map(decoded)))
    };
    match addresses.iter().find_map(of_url) {
        Some((name, Some(password))) => options.user_and_password(name, password),
        Some((token, None)) => options.token(token),
        None => options,
    }
}
