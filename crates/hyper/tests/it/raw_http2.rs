//! A client that sends the frames of HTTP/2 which it is told to, also wrong ones.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use towline::{Client, Message};

use crate::support::soon;

/// RFC 9113, section 6.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// RFC 9113, section 7.
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame from the server.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a RST_STREAM or a GOAWAY.
    pub(crate) fn error_code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The debug data of a GOAWAY.
    pub(crate) fn debug_data(&self) -> &str {
        std::str::from_utf8(&self.payload[8..]).unwrap()
    }

    /// The status of a response, if it is one of those that HPACK has in its table.
    pub(crate) fn status(&self) -> u16 {
        match self.payload[0] {
            0x88 => 200,
            0x8C => 400,
            0x8D => 404,
            0x8E => 500,
            other => panic!("a status of another kind: {other:#x}"),
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A block of headers, each of them literal (RFC 7541, section 6.2.2).
pub(crate) fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for string in [name, value] {
            bytes.push(u8::try_from(string.len()).ok().filter(|length| *length < 127).unwrap());
            bytes.extend(string.as_bytes());
        }
    }
    bytes
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

pub(crate) struct RawHttp2 {
    stream: TcpStream,
    /// How much the server has added to the window of stream 1.
    pub(crate) more_window: u32,
}

impl RawHttp2 {
    /// Sends the preface and empty settings.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { stream, more_window: 0 };
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        client.send(&frame(SETTINGS, 0, 0, &[])).await;
        client
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
    }

    /// Sends bytes for as long as the server takes them or is there.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads a frame, or `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        soon(self.stream.read_exact(&mut head)).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        soon(self.stream.read_exact(&mut payload)).await.ok()?;
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        if (head[3], stream) == (WINDOW_UPDATE, 1) {
            self.more_window += u32::from_be_bytes(payload[..].try_into().unwrap());
        }
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
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
        assert_eq!((response.stream, response.status()), (stream, 200));
    }
}

/// Whether a client on another connection is served.
pub(crate) async fn neighbour_lives(address: SocketAddr) {
    let mut client = soon(Client::new().connect(format!("ws://{address}/"))).await.unwrap();
    client.send("ship ahoy").await.unwrap();
    assert_eq!(soon(client.recv()).await.unwrap(), Some(Message::text("ship ahoy")));
}
