//! Deliveries to the members of a topic, on a current-thread runtime. Each member's peer takes all bytes
//! at once and says nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::{Result, ensure};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Builder;
use towline::topics::Topics;
use towline::{Config, Connection, Keepalive, Role};

use crate::frames;

const MEMBERS: usize = 256;
const SIZE: usize = 128;

struct Silent;

impl AsyncRead for Silent {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Silent {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Delivers this many messages, counting one for each member, with so many published at a time.
pub(crate) fn deliver(together: usize, times: usize) -> Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let topics = Topics::new();
        let topic = topics.topic("news")?;
        let config = Config::server().keepalive(None::<Keepalive>);
        let mut members = Vec::new();
        for _ in 0..MEMBERS {
            let member = Connection::from_stream(Silent, Role::Server, &config, Bytes::new());
            topic.join(&member).await?;
            members.push(member);
        }
        let message = Bytes::from(frames::bytes(SIZE));
        let each = MEMBERS * together;
        for round in 1..=times.div_ceil(each) {
            for _ in 0..together {
                topic.publish(message.clone()).await;
            }
            while topic.stats().delivered < (round * each) as u64 {
                tokio::task::yield_now().await;
            }
        }
        let written = members[0].stats().sent.messages;
        ensure!(written == (times.div_ceil(each) * together) as u64, "{written} messages sent");
        Ok(())
    })
}
