//! Nodes of Towline, with members that take everything at once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use towline::bytes::Bytes;
use towline::topics::{Topic, Topics};
use towline::{Config, Connection, Keepalive, Role};
use towline_nats::NatsRelay;

use crate::processor::Meter;
use crate::{AHEAD, PART, Result, SIZE, TURN, payload};

/// A frame of a message: two bytes, and two for the length.
const FRAME: u64 = SIZE as u64 + 4;

pub(crate) async fn publish(url: &str, messages: u64) -> Result<()> {
    let topics = topics(url).await?;
    let topic = topics.topic("crossing")?;
    let mut parts = Member::new(&topics.topic("parts")?).await?;
    let payload = payload();
    let (mut meter, mut arrived) = (Meter::default(), 0);
    for message in 0..messages {
        if message == messages / 10 {
            meter.begin(message)?;
        }
        while message - arrived >= AHEAD {
            arrived = parts.hears().await? * PART;
        }
        topic.publish(&*payload).await;
        if message % TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    while arrived < messages {
        arrived = parts.hears().await? * PART;
    }
    meter.print(messages)
}

pub(crate) async fn receive(url: &str, messages: u64, members: usize) -> Result<()> {
    let topics = topics(url).await?;
    let (topic, parts) = (topics.topic("crossing")?, topics.topic("parts")?);
    let mut others = Vec::new();
    for _ in 1..members {
        others.push(Member::new(&topic).await?);
    }
    // It is the last to get each message.
    let mut last = Member::new(&topic).await?;
    println!("ready");
    let (mut meter, mut is_begun, mut told) = (Meter::default(), false, 0);
    let payload = payload();
    while told < messages {
        let heard = last.hears().await?;
        if !is_begun && heard >= messages / 10 {
            meter.begin(heard)?;
            is_begun = true;
        }
        while heard >= told + PART {
            parts.publish(&*payload).await;
            told += PART;
        }
    }
    meter.print(messages)?;
    // What is queued leaves.
    drop((topics, topic, parts, others, last));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    Ok(())
}

async fn topics(url: &str) -> Result<Topics> {
    Ok(Topics::builder().relay(NatsRelay::connect(url).await?).build())
}

/// A member, and how many bytes its peer has taken.
struct Member {
    _connection: Connection,
    taken: watch::Receiver<u64>,
}

impl Member {
    async fn new(topic: &Topic) -> Result<Self> {
        let (taken, receiver) = watch::channel(0);
        let config = Config::server().keepalive(None::<Keepalive>);
        let connection = Connection::from_stream(Peer(taken), Role::Server, &config, Bytes::new());
        topic.join(&connection).await?;
        Ok(Self { _connection: connection, taken: receiver })
    }

    /// Waits for more messages, and returns how many came so far.
    async fn hears(&mut self) -> Result<u64> {
        self.taken.changed().await?;
        Ok(*self.taken.borrow_and_update() / FRAME)
    }
}

/// Takes everything and says nothing.
struct Peer(watch::Sender<u64>);

impl AsyncRead for Peer {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.send_modify(|taken| *taken += bytes.len() as u64);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
