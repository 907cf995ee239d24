//! The task of a relay: from one session to the next.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream};
use redis::{RedisError, RedisResult, Value};
use tokio::task::JoinSet;
use tokio::time::sleep;
use towline::relaying::Mailbox;

use crate::core::{Core, is_over};
use crate::session::{Session, within};

/// How often the broker is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// The shortest and the longest wait between attempts to connect.
const DELAYS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How many channels are subscribed to in one round trip.
const AT_ONCE: usize = 500;

/// How many bytes of payload one round trip publishes, about.
const BATCH: usize = 256 << 10;

/// How many messages one round trip publishes.
const MOST: usize = 1024;

/// Why a session is over.
enum End {
    Lost(String),
    /// The relay is dropped, and all that was queued is published.
    Dropped,
}

impl Session {
    /// Subscribes to all that is wanted, and lets the relay use this session. What the broker refuses is
    /// reported and left out.
    ///
    /// Each channel has a command of its own, since the broker refuses a whole command because of one channel.
    async fn begin(&mut self, core: &Core) -> RedisResult<()> {
        let sink = &self.sink;
        let mut subscribed = Vec::new();
        for channels in core.all_wanted().chunks(AT_ONCE) {
            let replies = channels.iter().map(|channel| subscribe(core, sink, channel));
            let confirmed = within(try_join_all(replies)).await?;
            subscribed.extend(confirmed.into_iter().flatten());
        }
        loop {
            let stale = core.begin(sink, &subscribed);
            if stale.is_empty() {
                return Ok(());
            }
            for channels in stale.chunks(AT_ONCE) {
                let replies = channels.iter().map(|channel| {
                    let mut sink = sink.clone();
                    async move { sink.unsubscribe(channel).await }
                });
                within(try_join_all(replies)).await?;
            }
            // One of these that is wanted again is subscribed to when the session has begun.
            let stale: HashSet<_> = stale.into_iter().collect();
            subscribed.retain(|channel| !stale.contains(channel));
        }
    }

    /// Runs until the connections are lost.
    async fn run(self, core: &Arc<Core>) -> End {
        let mut tasks = JoinSet::new();
        tasks.spawn(read(core.clone(), self.stream));
        tasks.spawn(ping(self.sink, self.publisher.clone()));
        tasks.spawn(write(core.clone(), self.publisher));
        match tasks.join_next().await {
            Some(Ok(end)) => end,
            _ => End::Lost("a task of the relay has panicked".to_owned()),
        }
    }
}

/// Subscribes to a channel. Returns it, unless the broker refuses.
async fn subscribe(core: &Core, sink: &PubSubSink, channel: &str) -> RedisResult<Option<String>> {
    match sink.clone().subscribe(channel).await {
        Ok(()) => Ok(Some(channel.to_owned())),
        Err(error) if is_over(&error) => Err(error),
        Err(error) => {
            core.refuse(channel, &error);
            Ok(None)
        }
    }
}

/// Runs until the relay is dropped.
pub(crate) async fn run(core: Arc<Core>) {
    let Some(mut session) = core.take_first() else { return };
    core.begin(&session.sink, &[]);
    loop {
        let end = session.run(&core).await;
        core.session.send_replace(None);
        let End::Lost(reason) = end else { return };
        core.mailbox.lost(reason);
        session = connect(&core).await;
        core.mailbox.back();
    }
}

/// Connects, and begins a session, as often as it takes.
async fn connect(core: &Core) -> Session {
    let mut delay = DELAYS.0;
    loop {
        // Not all nodes at once.
        sleep(delay.mul_f64(0.5 + random() / 2.0)).await;
        delay = (delay * 2).min(DELAYS.1);
        let attempt = async {
            let mut session = Session::new(&core.client).await?;
            session.begin(core).await?;
            Ok::<_, RedisError>(session)
        };
        match attempt.await {
            Ok(session) => return session,
            Err(error) => tracing::debug!(%error, "no connection to Redis"),
        }
    }
}

/// A number from 0 to 1.
fn random() -> f64 {
    let bits = RandomState::new().hash_one(0) >> 32;
    #[allow(clippy::cast_precision_loss)]
    let (part, whole) = (bits as f64, f64::from(u32::MAX));
    part / whole
}

async fn read(core: Arc<Core>, mut stream: PubSubStream) -> End {
    while let Some(message) = stream.next().await {
        core.received(&message);
    }
    End::Lost("the connection to Redis is lost".to_owned())
}

/// Finds connections that are dead without saying so.
async fn ping(mut sink: PubSubSink, mut publisher: MultiplexedConnection) -> End {
    loop {
        sleep(PING_INTERVAL).await;
        let pinging = async {
            sink.ping::<Value>().await?;
            redis::cmd("PING").exec_async(&mut publisher).await
        };
        if let Err(error) = within(pinging).await {
            return End::Lost(error.to_string());
        }
    }
}

/// Publishes what is queued, many messages in one round trip.
async fn write(core: Arc<Core>, mut publisher: MultiplexedConnection) -> End {
    while let Some(first) = core.mailbox.outbox().next().await {
        let batch = Batch::new(&core, first);
        let publishing = batch.pipeline.query_async::<Vec<RedisResult<Value>>>(&mut publisher);
        match within(publishing).await {
            Ok(replies) => batch.confirm(&replies),
            Err(error) if is_over(&error) => return End::Lost(error.to_string()),
            Err(error) => tracing::debug!(%error, "Redis does not take messages"),
        }
    }
    End::Dropped
}

/// Messages that are published together. They count as lost until the broker has replied.
struct Batch {
    mailbox: Mailbox,
    pipeline: redis::Pipeline,
    unconfirmed: u64,
}

impl Batch {
    fn new(core: &Core, first: (String, Bytes)) -> Self {
        let mut pipeline = redis::pipe();
        // One reply for each message, so that those which are refused are known.
        pipeline.ignore_errors();
        let (mut bytes, mut count) = (0, 0);
        let mut next = Some(first);
        while let Some((channel, payload)) = next {
            bytes += payload.len();
            count += 1;
            pipeline.cmd("PUBLISH").arg(channel).arg(&payload[..]);
            next =
                if bytes < BATCH && count < MOST { core.mailbox.outbox().try_next() } else { None };
        }
        Self { mailbox: core.mailbox.clone(), pipeline, unconfirmed: count as u64 }
    }

    fn confirm(mut self, replies: &[RedisResult<Value>]) {
        for reply in replies {
            match reply {
                Ok(Value::ServerError(error)) => {
                    tracing::debug!(?error, "Redis does not take a message");
                }
                Err(error) => tracing::debug!(%error, "Redis does not take a message"),
                Ok(_) => self.unconfirmed = self.unconfirmed.saturating_sub(1),
            }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.mailbox.losses().add(self.unconfirmed);
    }
}
