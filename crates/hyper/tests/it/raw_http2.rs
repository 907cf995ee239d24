//! A client that sends the frames of HTTP/2 which it is told to, also wrong ones.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use towline::{Client, Message};

use towline_kit::http2_io::Frames;

pub(crate) use towline_kit::http2::{
    ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, GOAWAY,
    HEADERS, INITIAL_WINDOW_SIZE, PING, PROTOCOL_ERROR, RST_STREAM, SETTINGS, WINDOW_UPDATE, block,
    frame,
};

use crate::support::soon;

/// The status of a response, if it is one of those that HPACK has in its table.
pub(crate) fn status(response: &Frame) -> u16 {
    match response.payload[0] {
        0x88 => 200,
        0x8C => 400,
        0x8D => 404,
        0x8E => 500,
        other => panic!("a status of another kind: {other:#x}"),
    }
}

/// The headers of an extended CONNECT. There is no key.
pub(crate) const EXTENDED: [(&str, &str); 6] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "https"),
    (":path", "/chat"),
    (":authority", "example.com"),
    ("sec-websocket-version", "13"),
];

pub(crate) fn extended_connect(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&EXTENDED))
}

pub(crate) fn reset(stream: u32, error_code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &error_code.to_be_bytes())
}

pub(crate) struct RawHttp2<S = TcpStream> {
    frames: Frames<S>,
    /// How much the server has added to the window of stream 1.
    pub(crate) more_window: u32,
}

impl RawHttp2 {
    /// Sends the preface and empty settings.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, &[]).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> RawHttp2<S> {
    /// Sends the preface and settings.
    pub(crate) async fn over(stream: S, settings: &[u8]) -> Self {
        let frames = soon(Frames::client(stream)).await.unwrap();
        let mut client = Self { frames, more_window: 0 };
        client.send(&frame(SETTINGS, 0, 0, settings)).await;
        client
    }

    pub(crate) fn into_inner(self) -> S {
        self.frames.into_inner()
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.frames.send(bytes)).await.unwrap();
    }

    /// Sends bytes for as long as the server takes them or is there.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.frames.send(bytes).await
    }

    /// Reads a frame, or `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let frame = soon(self.frames.next()).await?;
        if (frame.kind, frame.stream) == (WINDOW_UPDATE, 1) {
            self.more_window += u32::from_be_bytes(frame.payload[..].try_into().unwrap());
        }
        Some(frame)
    }

    /// Reads up to a frame of this kind.
    pub(crate) async fn until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection ended");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Waits until the server has handled everything that was sent.
    pub(crate) async fn sync(&mut self) {
        self.send(&frame(PING, 0, 0, b"in sync?")).await;
        while self.until(PING).await.payload != b"in sync?" {}
    }

    /// Opens a WebSocket.
    pub(crate) async fn open(&mut self, stream: u32) {
        self.send(&extended_connect(stream)).await;
        let response = self.until(HEADERS).await;
        assert_eq!((response.stream, status(&response)), (stream, 200));
    }
}

/// Whether a client on another connection is served.
pub(crate) async fn neighbour_lives(address: SocketAddr) {
    let mut client = soon(Client::new().connect(format!("ws://{address}/"))).await.unwrap();
    client.send("ship ahoy").await.unwrap();
    assert_eq!(soon(client.recv()).await.unwrap(), Some(Message::text("ship ahoy")));
}
