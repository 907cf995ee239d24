//! The floor: `async-nats` alone, with messages as long as those of nodes.

use futures_util::StreamExt as _;
use towline::bytes::Bytes;
use towline::relaying::Envelope;
use towline_nats::async_nats;

use crate::processor::Meter;
use crate::{AHEAD, PART, Result, TURN, payload};

pub(crate) async fn publish(url: &str, messages: u64) -> Result<()> {
    let client = async_nats::connect(url).await?;
    let mut parts = client.subscribe("bare.parts").await?;
    client.flush().await?;
    let payload = Bytes::from(vec![b'x'; payload().len() + Envelope::OVERHEAD]);
    let (mut meter, mut arrived) = (Meter::default(), 0);
    for message in 0..messages {
        if message == messages / 10 {
            meter.begin(message)?;
        }
        while message - arrived >= AHEAD {
            parts.next().await.ok_or("the client has ended")?;
            arrived += PART;
        }
        client.publish("bare.crossing", payload.clone()).await?;
        if message % TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    while arrived < messages {
        parts.next().await.ok_or("the client has ended")?;
        arrived += PART;
    }
    meter.print(messages)
}

pub(crate) async fn receive(url: &str, messages: u64) -> Result<()> {
    let client = async_nats::connect(url).await?;
    let mut crossing = client.subscribe("bare.crossing").await?;
    client.flush().await?;
    println!("ready");
    let mut meter = Meter::default();
    for message in 1..=messages {
        crossing.next().await.ok_or("the client has ended")?;
        if message == messages / 10 {
            meter.begin(message)?;
        }
        if message % PART == 0 {
            client.publish("bare.parts", Bytes::new()).await?;
        }
    }
    client.flush().await?;
    meter.print(messages)
}
