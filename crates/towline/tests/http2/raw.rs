//! A server that speaks frames of HTTP/2 (RFC 9113), and does with them what a test wants.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::soon;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(crate) const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// `:status: 200` and `:status: 404`, from the static table of HPACK (RFC 7541, appendix A).
pub(crate) const OK: &[u8] = &[0x88];
pub(crate) const NOT_FOUND: &[u8] = &[0x8d];

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) id: u32,
    pub(crate) payload: Vec<u8>,
}

/// The server's end of a connection.
pub(crate) struct Raw<S = TcpStream>(S);

impl Raw<TcpStream> {
    /// The next client's preface.
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = soon(listener.accept()).await.unwrap();
        Self::on(stream).await
    }

    /// The same, with settings that allow extended CONNECT.
    pub(crate) async fn greet(listener: &TcpListener) -> Self {
        let mut raw = Self::accept(listener).await;
        raw.settings(&[(ENABLE_CONNECT_PROTOCOL, 1)]).await;
        raw
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) async fn on(mut stream: S) -> Self {
        let mut preface = [0; 24];
        soon(stream.read_exact(&mut preface)).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        Self(stream)
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        self.send_bytes(&frame(kind, flags, id, payload)).await;
    }

    /// Sends frames in one piece.
    pub(crate) async fn send_bytes(&mut self, frames: &[u8]) {
        // Fails if the client has gone, which the test then sees.
        let _ = self.0.write_all(frames).await;
    }

    /// The next frame, or `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        soon(self.0.read_exact(&mut head)).await.ok()?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; len as usize];
        soon(self.0.read_exact(&mut payload)).await.ok()?;
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], id, payload })
    }

    /// The next frame of this type. Others are skipped.
    pub(crate) async fn next(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame().await.expect("a frame");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The stream of the next request.
    pub(crate) async fn request(&mut self) -> u32 {
        self.next(HEADERS).await.id
    }

    /// The next request, accepted.
    pub(crate) async fn accepts(&mut self) -> u32 {
        let id = self.request().await;
        self.headers(id, OK, false).await;
        id
    }

    pub(crate) async fn settings(&mut self, settings: &[(u16, u32)]) {
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend_from_slice(&name.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        self.send(SETTINGS, 0, 0, &payload).await;
    }

    /// The same, and waits until the client has taken them.
    pub(crate) async fn settings_and_ack(&mut self, settings: &[(u16, u32)]) {
        self.settings(settings).await;
        while self.next(SETTINGS).await.flags != ACK {}
    }

    pub(crate) async fn headers(&mut self, id: u32, block: &[u8], is_end: bool) {
        let flags = END_HEADERS | if is_end { END_STREAM } else { 0 };
        self.send(HEADERS, flags, id, block).await;
    }

    /// A text message of the WebSocket on this stream.
    pub(crate) async fn text(&mut self, id: u32, text: &str) {
        let mut frame = vec![0x81, u8::try_from(text.len()).unwrap()];
        frame.extend_from_slice(text.as_bytes());
        self.send(DATA, 0, id, &frame).await;
    }

    pub(crate) async fn reset(&mut self, id: u32, code: u32) {
        self.send(RST_STREAM, 0, id, &code.to_be_bytes()).await;
    }

    pub(crate) async fn goaway(&mut self, last: u32, code: u32, why: &str) {
        let mut payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        payload.extend_from_slice(why.as_bytes());
        self.send(GOAWAY, 0, 0, &payload).await;
    }

    pub(crate) async fn window(&mut self, id: u32, bytes: u32) {
        self.send(WINDOW_UPDATE, 0, id, &bytes.to_be_bytes()).await;
    }

    /// Reads to the end.
    pub(crate) async fn ends(&mut self) {
        while self.frame().await.is_some() {}
    }
}

pub(crate) fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![len[1], len[2], len[3], kind, flags];
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header of HPACK: literal, without indexing, with a new name (RFC 7541, section 6.2.2).
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0, u8::try_from(name.len()).unwrap()];
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(u8::try_from(value.len()).unwrap());
    bytes.extend_from_slice(value.as_bytes());
    bytes
}
