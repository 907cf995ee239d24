//! A server that speaks frames of HTTP/2 (RFC 9113), and does with them what a test wants.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use towline_kit::http2::END_HEADERS;
use towline_kit::http2_io::Frames;

pub(crate) use towline_kit::http2::{
    ACK, DATA, ENABLE_CONNECT_PROTOCOL, END_STREAM, Frame, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame,
};

use crate::support::soon;

/// `:status: 200` and `:status: 404`, from the static table of HPACK (RFC 7541, appendix A).
pub(crate) const OK: &[u8] = &[0x88];
pub(crate) const NOT_FOUND: &[u8] = &[0x8d];

/// The server's end of a connection.
pub(crate) struct Raw<S = TcpStream>(Frames<S>);

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
    pub(crate) async fn on(stream: S) -> Self {
        Self(soon(Frames::server(stream)).await.unwrap())
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        self.send_bytes(&frame(kind, flags, id, payload)).await;
    }

    /// Sends frames in one piece.
    pub(crate) async fn send_bytes(&mut self, frames: &[u8]) {
        // Fails if the client has gone, which the test then sees.
        let _ = self.0.send(frames).await;
    }

    /// The next frame, or `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        soon(self.0.next()).await
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
        self.next(HEADERS).await.stream
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
