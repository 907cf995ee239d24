//! The hostile end, which sends the bytes that it is told to, and the neighbour of its victim.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use towline::{
    Client, CloseCode, Config, Connection, Message, Result, Role, ServerBuilder, ServerHandle,
};
use towline_kit::{FrameBytes, Heard, hear};
use towline_proto::handshake::Key;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Starts a server that sends back each message.
pub(crate) fn echo(builder: ServerBuilder) -> ServerHandle {
    let mut server = builder.build();
    let handle = server.handle();
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            tokio::spawn(async move {
                let Ok(mut connection) = request.accept().await else { return };
                while let Ok(Some(message)) = connection.recv().await {
                    if connection.send(message).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    handle
}

/// Checks that the server serves others.
pub(crate) async fn neighbour_is_served(server: &ServerHandle) {
    let (near, far) = duplex(1 << 10);
    server.serve(far, None);
    let mut neighbour = Client::new().connect_over(near, "ws://example.com/").await.unwrap();
    neighbour.send("ship ahoy").await.unwrap();
    assert_eq!(neighbour.recv().await.unwrap(), Some(Message::text("ship ahoy")));
    let closed = neighbour.close(CloseCode::NORMAL, "").await.unwrap();
    assert_eq!(closed.code(), CloseCode::NORMAL);
}

/// Returns a valid request with these lines in addition, each with its line break.
pub(crate) fn request(lines: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// Returns the response that accepts this request, with these lines in addition.
pub(crate) fn response(request: &str, lines: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = Key::parse(key.unwrap()).unwrap().accept();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
    )
}

/// Returns the status of a response.
pub(crate) fn status(response: &str) -> u16 {
    response.split(' ').nth(1).unwrap_or_else(|| panic!("no status: {response:?}")).parse().unwrap()
}

/// Sends bytes to a server, as far as it takes them, and returns its answer up to the end.
pub(crate) async fn answer(server: &ServerHandle, bytes: &[u8]) -> String {
    let (near, far) = duplex(1 << 10);
    server.serve(far, None);
    let (mut reading, mut writing) = tokio::io::split(near);
    let sending = async {
        let _ = writing.write_all(bytes).await;
        // Not the end of the stream: the server has to end it.
        writing
    };
    let mut answer = Vec::new();
    let both = async { tokio::join!(sending, reading.read_to_end(&mut answer)) };
    let (_, read) = timeout(MINUTE, both).await.expect("an end");
    read.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads a head, and nothing behind it.
pub(crate) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    String::from_utf8(head).unwrap()
}

/// Lets a second pass now and then. A victim that has refused reads on for some seconds, so that its
/// answer is not lost to a reset, and holds nothing of it.
pub(crate) async fn pass_time(sent: usize, every: usize) {
    if sent.is_multiple_of(every) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A hostile end whose handshake is done.
pub(crate) struct Attacker {
    pub(crate) stream: DuplexStream,
    role: Role,
}

impl Attacker {
    /// A client of the server.
    pub(crate) async fn client(server: &ServerHandle) -> Self {
        Self::client_offering(server, "").await
    }

    /// A client whose request has these lines in addition.
    pub(crate) async fn client_offering(server: &ServerHandle, lines: &str) -> Self {
        let (mut stream, far) = duplex(1 << 10);
        server.serve(far, None);
        stream.write_all(request(lines).as_bytes()).await.unwrap();
        assert_eq!(status(&head(&mut stream).await), 101);
        Self { stream, role: Role::Client }
    }

    /// A server, and its victim.
    pub(crate) async fn server(config: Config) -> (Self, Connection) {
        let (attacker, client) = Self::server_answering(config, "").await;
        (attacker, client.await.unwrap().unwrap())
    }

    /// A server whose answer has these lines in addition, and the task of its victim.
    pub(crate) async fn server_answering(
        config: Config,
        lines: &str,
    ) -> (Self, JoinHandle<Result<Connection>>) {
        let (near, mut stream) = duplex(1 << 10);
        let client = Client::new().config(config);
        let client = tokio::spawn(async move { client.connect_over(near, "ws://h/").await });
        let request = head(&mut stream).await;
        stream.write_all(response(&request, lines).as_bytes()).await.unwrap();
        (Self { stream, role: Role::Server }, client)
    }

    /// Sends a frame, and returns whether the victim took it.
    pub(crate) async fn says(&mut self, frame: FrameBytes) -> bool {
        let bytes = frame.by(self.role).bytes();
        self.says_bytes(&bytes).await
    }

    /// Sends bytes, and returns whether the victim took them.
    pub(crate) async fn says_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Reads up to the end, which the victim has to make.
    pub(crate) async fn hears_the_end(&mut self) -> Vec<Heard> {
        let mut bytes = Vec::new();
        let reading = self.stream.read_to_end(&mut bytes);
        timeout(MINUTE, reading).await.expect("an end").unwrap();
        hear(&bytes)
    }

    /// Reads up to the end, and returns the code of the close frame before it.
    pub(crate) async fn is_closed_with(&mut self) -> CloseCode {
        let heard = self.hears_the_end().await;
        heard.last().expect("a close frame").close().code()
    }
}

/// Receives until the connection ends.
pub(crate) async fn receive_all(mut connection: Connection) -> Result<()> {
    while connection.recv().await?.is_some() {}
    Ok(())
}
