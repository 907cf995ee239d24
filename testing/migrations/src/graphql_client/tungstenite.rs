//! The client in tokio-tungstenite. A task owns the connection: others send through a channel.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::graphql::{PROTOCOL, complete};
use crate::graphql_client::{ACKNOWLEDGEMENT, Item, Said, Waiting, init, ping, subscribe};

/// How often to ping, and how long the peer may be silent.
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(30);

/// How long the server may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// How many calls may wait to be sent.
const CALLS: usize = 100;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A client of which each task can have a clone.
#[derive(Clone)]
pub struct GraphQlClient {
    calls: mpsc::Sender<Call>,
    end: Arc<OnceLock<String>>,
}

enum Call {
    Subscribe {
        query: String,
        items: mpsc::UnboundedSender<Item>,
        started: oneshot::Sender<String>,
    },
    Complete(String),
    Ping(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// An operation.
pub struct Operation {
    client: GraphQlClient,
    id: String,
    items: mpsc::UnboundedReceiver<Item>,
}

impl GraphQlClient {
    /// Connects, and waits for the server's acknowledgement.
    ///
    /// # Errors
    ///
    /// If the server does not speak the protocol or refuses the token.
    pub async fn connect(url: &str, token: &str) -> Result<Self> {
        let mut request = url.into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", PROTOCOL.parse()?);
        let (mut socket, response) = connect_async(request).await?;
        let protocol = response.headers().get("sec-websocket-protocol");
        let is_agreed = protocol.is_some_and(|protocol| protocol == PROTOCOL);
        ensure!(is_agreed, "the server does not speak {PROTOCOL}");
        socket.send(Message::text(init(token))).await?;
        let acknowledged = timeout(ACKNOWLEDGEMENT, hear(&mut socket)).await?;
        match Said::parse(&acknowledged?)? {
            Said::Acknowledged => {}
            _ => bail!("the server does not acknowledge the connection"),
        }
        let (calls, queue) = mpsc::channel(CALLS);
        let end = Arc::<OnceLock<String>>::default();
        tokio::spawn(run(socket, queue, end.clone()));
        Ok(Self { calls, end })
    }

    /// Starts an operation.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub async fn subscribe(&self, query: &str) -> Result<Operation> {
        let (sender, items) = mpsc::unbounded_channel();
        let (started, id) = oneshot::channel();
        self.call(Call::Subscribe { query: query.to_owned(), items: sender, started }).await?;
        let id = id.await.map_err(|_| self.ended())?;
        Ok(Operation { client: self.clone(), id, items })
    }

    /// Sends a ping of the protocol, and waits for the pong.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub async fn ping(&self) -> Result<()> {
        let (pinged, pong) = oneshot::channel();
        self.call(Call::Ping(pinged)).await?;
        pong.await.map_err(|_| self.ended())
    }

    /// Closes the connection.
    ///
    /// # Errors
    ///
    /// If it is closed already.
    pub async fn close(&self) -> Result<()> {
        let (close, closed) = oneshot::channel();
        self.call(Call::Close(close)).await?;
        closed.await.map_err(|_| self.ended())
    }

    async fn call(&self, call: Call) -> Result<()> {
        self.calls.send(call).await.map_err(|_| self.ended())
    }

    fn ended(&self) -> anyhow::Error {
        anyhow!("{}", self.end.get().map_or("the connection is closed", String::as_str))
    }
}

impl Operation {
    /// Returns the next item.
    ///
    /// # Errors
    ///
    /// If the connection has ended before the operation, with the reason.
    pub async fn next(&mut self) -> Result<Item> {
        self.items.recv().await.ok_or_else(|| self.client.ended())
    }

    /// Completes the operation at the server.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub async fn complete(self) -> Result<()> {
        self.client.call(Call::Complete(self.id)).await
    }
}

async fn run(mut socket: Socket, queue: mpsc::Receiver<Call>, end: Arc<OnceLock<String>>) {
    let mut waiting = Waiting::default();
    let closing = match converse(&mut socket, queue, &mut waiting).await {
        Ok(closing) => closing,
        Err(error) => {
            let _ = end.set(error.to_string());
            return;
        }
    };
    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let _ = socket.close(Some(frame)).await;
    let _ = timeout(CLOSE, async { while let Some(Ok(_)) = socket.next().await {} }).await;
    let _ = end.set("the client has closed the connection".to_owned());
    closing.map(|closed| closed.send(()));
}

/// Runs until a call closes the connection, or the last client is gone.
async fn converse(
    socket: &mut Socket,
    mut queue: mpsc::Receiver<Call>,
    waiting: &mut Waiting,
) -> Result<Option<oneshot::Sender<()>>> {
    let mut next = 0_u64;
    let mut heard = Instant::now();
    let mut keepalive = interval(PING);
    keepalive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            call = queue.recv() => {
                let text = match call {
                    Some(Call::Subscribe { query, items, started }) => {
                        let id = next.to_string();
                        next += 1;
                        let text = subscribe(&id, &query);
                        waiting.operations.insert(id.clone(), items);
                        let _ = started.send(id);
                        text
                    }
                    Some(Call::Complete(id)) => {
                        waiting.operations.remove(&id);
                        complete(&id)
                    }
                    Some(Call::Ping(pinged)) => {
                        waiting.pings.push_back(pinged);
                        ping()
                    }
                    Some(Call::Close(closed)) => return Ok(Some(closed)),
                    None => return Ok(None),
                };
                socket.send(Message::text(text)).await?;
            }
            message = socket.next() => {
                heard = Instant::now();
                if let Some(text) = text(message)?
                    && let Some(answer) = waiting.handle(Said::parse(&text)?)
                {
                    socket.send(Message::text(answer)).await?;
                }
            }
            _ = keepalive.tick() => {
                ensure!(heard.elapsed() <= SILENCE, "the server is silent");
                socket.send(Message::Ping(Bytes::new())).await?;
            }
        }
    }
}

/// Receives a text.
async fn hear(socket: &mut Socket) -> Result<String> {
    loop {
        if let Some(text) = text(socket.next().await)? {
            return Ok(text);
        }
    }
}

fn text(
    message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
) -> Result<Option<String>> {
    match message.context("the connection is lost")?? {
        Message::Text(text) => Ok(Some(text.to_string())),
        Message::Ping(_) | Message::Pong(_) => Ok(None),
        Message::Close(Some(frame)) => bail!("{}: {}", u16::from(frame.code), frame.reason),
        Message::Close(None) => bail!("closed without a code"),
        _ => bail!("not text"),
    }
}
