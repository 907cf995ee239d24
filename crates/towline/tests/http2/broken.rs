//! A connection whose writes fail before it has read all that has arrived.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::time::Instant;
use towline::{CloseCause, CloseCode, Connection, ErrorKind};

use crate::raw::{DATA, Raw};
use crate::support::{client, soon};

/// What the test does to a stream.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What has arrived is not read.
    is_held: bool,
    fails_writes: bool,
    reader: Option<Waker>,
}

impl Gate {
    fn holds_and_breaks(&self) {
        let mut state = self.0.lock().unwrap();
        (state.is_held, state.fails_writes) = (true, true);
    }

    fn lets_through(&self) {
        let mut state = self.0.lock().unwrap();
        state.is_held = false;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    fn written(&self) -> io::Result<()> {
        match self.0.lock().unwrap().fails_writes {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => Ok(()),
        }
    }
}

struct Gated(DuplexStream, Gate);

impl AsyncRead for Gated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.1.0.lock().unwrap();
        if state.is_held {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Gated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.1.written()?;
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.1.written()?;
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A WebSocket, its server, the number of its stream, and its gate.
async fn open() -> (Connection, Raw<DuplexStream>, u32, Gate) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let gate = Gate::default();
    let near = Gated(near, gate.clone());
    let connecting = tokio::spawn(client().connect_over(near, "ws://example.com/"));
    let mut raw = Raw::on(far).await;
    raw.settings(&[(crate::raw::ENABLE_CONNECT_PROTOCOL, 1)]).await;
    let id = raw.accepts().await;
    (soon(connecting).await.unwrap().unwrap(), raw, id, gate)
}

const FAILED: CloseCause = CloseCause::TransportFailed(io::ErrorKind::BrokenPipe);

#[tokio::test(start_paused = true)]
async fn a_failed_write_throws_away_nothing_that_has_arrived() {
    for is_told in [true, false] {
        let (mut connection, mut raw, id, gate) = open().await;
        gate.holds_and_breaks();
        for number in 0..1000 {
            raw.text(id, &number.to_string()).await;
        }
        if is_told {
            raw.send(DATA, 0, id, b"\x88\x02\x03\xe9").await;
        }
        drop(raw);
        connection.send("into the void").await.unwrap();
        soon(connection.flushed()).await;
        assert!(!connection.is_open());
        gate.lets_through();
        for number in 0..1000 {
            let received = soon(connection.recv()).await.unwrap();
            assert_eq!(received, Some(number.to_string().into()));
        }
        let end = soon(connection.recv()).await;
        let closed = connection.closed().unwrap();
        assert_eq!(closed.cause(), FAILED);
        if is_told {
            assert_eq!(end.unwrap(), None);
            assert_eq!(closed.code(), CloseCode::GOING_AWAY);
        } else {
            assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionLost);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_and_says_nothing_is_not_awaited_for_long() {
    for writes in [true, false] {
        let (mut connection, mut raw, _, gate) = open().await;
        let began = Instant::now();
        gate.holds_and_breaks();
        gate.lets_through();
        // Of which the connection's task writes an acknowledgement.
        raw.settings(&[]).await;
        if writes {
            connection.send("into the void").await.unwrap();
        }
        let error = soon(connection.recv()).await.unwrap_err();
        assert_eq!(error.closed().unwrap().cause(), FAILED);
        assert_eq!(began.elapsed().as_secs(), 5);
    }
}
