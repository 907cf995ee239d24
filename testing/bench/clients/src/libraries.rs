//! The libraries, each as a client.

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role as FastRole, WebSocket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream as Tungstenite;
use tokio_tungstenite::tungstenite;
use towline::{Client, Config, MessageRef};
use towline_bench_serving::corked::Corked;
use towline_bench_serving::options::Options;
use web_socket::{DataType, Event, MessageType, WebSocket as SmallWebSocket};

use crate::flow::Flow;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Send,
    Receive,
}

/// A library and its use. The `batched` and `corked` variants differ only in sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    Towline,
    TowlineBorrowed,
    TokioTungstenite,
    TokioTungsteniteBatched,
    Fastwebsockets,
    FastwebsocketsCorked,
    TokioWebsockets,
    TokioWebsocketsBatched,
    Yawc,
    YawcBatched,
    SockudoWs,
    SockudoWsBatched,
    WebSocket,
    WebSocketCorked,
}

/// Sends or receives until the flow ends, and returns the flow.
///
/// # Errors
///
/// Those of the library.
pub(crate) async fn run(
    way: Way,
    direction: Direction,
    mut stream: TcpStream,
    mut flow: Flow,
) -> Result<Flow> {
    if !matches!(way, Way::Towline | Way::TowlineBorrowed) {
        upgrade(&mut stream).await?;
    }
    match way {
        Way::Towline | Way::TowlineBorrowed => {
            towline(stream, direction, way == Way::TowlineBorrowed, &mut flow).await?;
        }
        Way::TokioTungstenite | Way::TokioTungsteniteBatched => {
            tungstenite(stream, direction, way == Way::TokioTungsteniteBatched, &mut flow).await?;
        }
        Way::Fastwebsockets => fast(stream, direction, &mut flow).await?,
        Way::FastwebsocketsCorked => fast(Corked::new(stream), direction, &mut flow).await?,
        Way::TokioWebsockets | Way::TokioWebsocketsBatched => {
            tokio_ws(stream, direction, way == Way::TokioWebsocketsBatched, &mut flow).await?;
        }
        Way::Yawc | Way::YawcBatched => {
            yawc(stream, direction, way == Way::YawcBatched, &mut flow).await?;
        }
        Way::SockudoWs | Way::SockudoWsBatched => {
            sockudo(stream, direction, way == Way::SockudoWsBatched, &mut flow).await?;
        }
        Way::WebSocket => small(stream, direction, &mut flow).await?,
        Way::WebSocketCorked => small(Corked::new(stream), direction, &mut flow).await?,
    }
    Ok(flow)
}

/// Does the opening handshake by hand, for libraries that are measured after it.
async fn upgrade(stream: &mut TcpStream) -> Result<()> {
    let request = "GET / HTTP/1.1\r\n\
                   Host: localhost\r\n\
                   Upgrade: websocket\r\n\
                   Connection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    // Byte by byte, since frames follow immediately.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    ensure!(head.starts_with(b"HTTP/1.1 101 "), "the request is refused");
    Ok(())
}

async fn towline(
    stream: TcpStream,
    direction: Direction,
    borrowed: bool,
    flow: &mut Flow,
) -> Result<()> {
    let config = Config::client()
        .max_received_frame_size(Options::LARGEST)
        .max_received_message_size(Options::LARGEST)
        .fragment_outgoing_messages(false);
    let client = Client::new().config(config);
    let mut connection = client.connect_over(stream, "ws://localhost/").await?;
    match direction {
        Direction::Send if borrowed => {
            let sender = connection.sender();
            let payload = flow.payload.clone();
            loop {
                sender.send(MessageRef::binary(&payload)).await?;
                if !flow.meter.count() {
                    return Ok(());
                }
            }
        }
        Direction::Send => loop {
            connection.send(flow.payload.clone()).await?;
            if !flow.meter.count() {
                return Ok(());
            }
        },
        Direction::Receive if borrowed => {
            let (_sender, mut receiver) = connection.split();
            loop {
                let message = receiver.recv_ref().await?.context("the connection ended")?;
                if !flow.came(message.as_bytes())? {
                    return Ok(());
                }
            }
        }
        Direction::Receive => loop {
            let message = connection.recv().await?.context("the connection ended")?;
            if !flow.came(message.as_bytes())? {
                return Ok(());
            }
        },
    }
}

async fn tungstenite(
    stream: TcpStream,
    direction: Direction,
    batched: bool,
    flow: &mut Flow,
) -> Result<()> {
    use tungstenite::Message;
    use tungstenite::protocol::{Role, WebSocketConfig};

    let config = WebSocketConfig::default()
        .max_message_size(Some(Options::LARGEST))
        .max_frame_size(Some(Options::LARGEST));
    let socket = Tungstenite::from_raw_socket(stream, Role::Client, Some(config)).await;
    match direction {
        Direction::Send => flow.send(socket, batched, Message::Binary).await,
        Direction::Receive => {
            let check = |flow: &mut Flow, item: Result<Message, tungstenite::Error>| match item? {
                Message::Binary(bytes) => flow.came(&bytes),
                _ => Ok(true),
            };
            flow.receive(socket, check).await
        }
    }
}

async fn fast<S>(stream: S, direction: Direction, flow: &mut Flow) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket = WebSocket::after_handshake(stream, FastRole::Client);
    socket.set_max_message_size(Options::LARGEST);
    if direction == Direction::Send {
        loop {
            socket.write_frame(Frame::binary(Payload::Borrowed(&flow.payload))).await?;
            if !flow.meter.count() {
                return Ok(());
            }
        }
    }
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        if frame.opcode == OpCode::Binary && !flow.came(&frame.payload)? {
            return Ok(());
        }
    }
}

async fn tokio_ws(
    stream: TcpStream,
    direction: Direction,
    batched: bool,
    flow: &mut Flow,
) -> Result<()> {
    use tokio_websockets::{ClientBuilder, Config, Error, Limits, Message};

    let config = Config::default().frame_size(Options::LARGEST);
    let config = if batched { config.flush_threshold(64 << 10) } else { config };
    let limits = Limits::default().max_payload_len(Some(Options::LARGEST));
    let socket = ClientBuilder::new().config(config).limits(limits).take_over(stream);
    match direction {
        Direction::Send => flow.send(socket, batched, Message::binary).await,
        Direction::Receive => {
            let check = |flow: &mut Flow, item: Result<Message, Error>| {
                let message = item?;
                if message.is_binary() { flow.came(message.as_payload()) } else { Ok(true) }
            };
            flow.receive(socket, check).await
        }
    }
}

async fn yawc(
    stream: TcpStream,
    direction: Direction,
    batched: bool,
    flow: &mut Flow,
) -> Result<()> {
    use yawc::{Frame, OpCode, Options as Wanted, Role, WebSocket};

    let mut options = Wanted::default()
        .with_limits(Options::LARGEST + 1, 2 * Options::LARGEST)
        .without_compression();
    if batched {
        options = options.with_read_buffer_capacity(128 << 10).with_backpressure_boundary(64 << 10);
    }
    let socket = WebSocket::from_stream(stream, Role::Client, options)?;
    match direction {
        Direction::Send => flow.send(socket, batched, Frame::binary).await,
        Direction::Receive => {
            let check = |flow: &mut Flow, frame: Frame| match frame.opcode() {
                OpCode::Binary => flow.came(frame.payload()),
                _ => Ok(true),
            };
            use futures_util::StreamExt;
            let socket = socket.map(Ok::<_, std::convert::Infallible>);
            flow.receive(socket, |flow, item: Result<Frame, _>| match item {
                Ok(frame) => check(flow, frame),
                Err(never) => match never {},
            })
            .await
        }
    }
}

async fn sockudo(
    stream: TcpStream,
    direction: Direction,
    batched: bool,
    flow: &mut Flow,
) -> Result<()> {
    use sockudo_ws::{Config, Error, Message, Role, WebSocketStream};

    let config = Config {
        max_message_size: Options::LARGEST,
        max_frame_size: Options::LARGEST,
        ..Config::default()
    };
    let socket = WebSocketStream::from_raw(stream, Role::Client, config);
    match direction {
        Direction::Send => flow.send(socket, batched, Message::Binary).await,
        Direction::Receive => {
            let check = |flow: &mut Flow, item: Result<Message, Error>| match item? {
                Message::Binary(bytes) => flow.came(&bytes),
                _ => Ok(true),
            };
            flow.receive(socket, check).await
        }
    }
}

async fn small<S>(stream: S, direction: Direction, flow: &mut Flow) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket = SmallWebSocket::client(BufReader::with_capacity(128 << 10, stream));
    socket.max_payload_len = Options::LARGEST;
    loop {
        let goes_on = if direction == Direction::Send {
            socket.send(&flow.payload[..]).await?;
            flow.meter.count()
        } else {
            match socket.recv().await? {
                Event::Data { ty: DataType::Complete(MessageType::Binary), data } => {
                    flow.came(&data)?
                }
                _ => bail!("something else came"),
            }
        };
        if !goes_on {
            return Ok(());
        }
    }
}
