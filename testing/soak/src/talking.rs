//! Polite clients: they send numbered messages, and check that each comes back whole, once and in
//! order.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use towline::{
    Client, CloseCode, Config, Connection, Deflate, HttpVersion, Message, Proxy, Receiver, Sender,
    Tls,
};

use crate::dice::Dice;
use crate::nginx::Nginx;
use crate::server::Server;
use crate::tally::{Tally, count};

/// Far longer than anything takes, on a busy machine too.
const LONG: Duration = Duration::from_secs(60);

/// How long a close may take.
const CLOSING: Duration = Duration::from_secs(5);

/// The ways to connect.
pub(crate) struct Ways {
    clients: Vec<Way>,
}

struct Way {
    client: Client,
    url: String,
    is_through_nginx: bool,
}

impl Ways {
    /// Returns the ways to this server: plain and TLS, HTTP/1.1 and HTTP/2, directly and through
    /// nginx, with and without compression.
    pub(crate) fn to(server: &Server, nginx: Option<&Nginx>) -> Self {
        let mut clients = Vec::new();
        for compression in [None, Some(Deflate::client().threshold(1))] {
            let compression = compression.map(towline::Compression::from);
            let config = Config::client().compression(compression).close_timeout(CLOSING);
            let client = Client::new().config(config).proxy(Proxy::none()).connect_timeout(LONG);
            let tls = Tls::new().dangerously_accept_any_certificate();
            let secure = client.clone().tls(tls);
            let mut add = |client: &Client, scheme, port, is_through_nginx| {
                let url = format!("{scheme}://127.0.0.1:{port}/");
                clients.push(Way { client: client.clone(), url, is_through_nginx });
            };
            let over_http1 = secure.clone().http_version(HttpVersion::Http1);
            add(&client, "ws", server.plain, false);
            add(&client, "ws", server.plain, false);
            add(&over_http1, "wss", server.secure, false);
            add(&secure.http_version(HttpVersion::Http2), "wss", server.secure, false);
            if let Some(nginx) = nginx {
                add(&client, "ws", nginx.plain, true);
                add(&over_http1, "wss", nginx.secure, true);
            }
        }
        Self { clients }
    }

    /// Connects in one of the ways, and counts it.
    pub(crate) async fn connect(
        &self,
        dice: &mut Dice,
        tally: &Tally,
    ) -> towline::Result<Connection> {
        let at = usize::try_from(dice.below(self.clients.len() as u64)).unwrap_or(0);
        let Way { client, url, is_through_nginx } = &self.clients[at];
        let connection = client.connect(url).await?;
        count(&tally.connections);
        if *is_through_nginx {
            count(&tally.through_nginx);
        }
        Ok(connection)
    }
}

/// Connects, talks, and ends it in one of several ways.
pub(crate) async fn talk(ways: &Ways, dice: &mut Dice, tally: &Arc<Tally>) {
    let connection = match ways.connect(dice, tally).await {
        Ok(connection) => connection,
        Err(error) => return tally.fault(format!("cannot connect: {error}")),
    };
    if dice.below(8) == 0 {
        sleep(Duration::from_millis(dice.below(3_000))).await;
    }
    let messages = 1 + dice.below(60);
    let largest = [30, 300, 4_000, 60_000][usize::try_from(dice.below(4)).unwrap_or(0)];
    let messages = if largest > 4_000 { messages.min(5) } else { messages };
    let plan = Plan { messages, largest, is_by_turns: dice.below(2) == 0 };
    let progress = Arc::new(Progress::of(&connection));
    let talking = async {
        if plan.is_by_turns {
            by_turns(connection, plan, &progress, dice, tally).await;
        } else {
            at_once(connection, plan, &progress, dice, tally).await;
        }
    };
    let mut talking = pin!(talking);
    let mut before = progress.messages();
    while timeout(LONG, &mut talking).await.is_err() {
        // A busy machine makes it slow, not stuck.
        let now = progress.messages();
        if now == std::mem::replace(&mut before, now) {
            return tally.fault(format!("a conversation is stuck: {plan:?}, {progress:?}"));
        }
    }
}

/// What a client has to say.
#[derive(Debug, Clone, Copy)]
struct Plan {
    messages: u64,
    largest: u64,
    /// Or all at once, from a connection that is split.
    is_by_turns: bool,
}

/// How far a client has come, for the report of one that is stuck.
#[derive(Debug)]
struct Progress {
    /// How it is connected.
    #[expect(dead_code, reason = "it is shown")]
    way: String,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Progress {
    fn of(connection: &Connection) -> Self {
        let compressed = if connection.extensions().is_empty() { "" } else { ", compressed" };
        let secure = if connection.is_secure() { " over TLS" } else { "" };
        let (version, peer) = (connection.http_version(), connection.peer_addr());
        let way = format!("{version:?}{secure}{compressed}, to {peer:?}");
        Self { way, sent: AtomicU64::new(0), received: AtomicU64::new(0) }
    }

    /// How many messages went either way.
    fn messages(&self) -> u64 {
        self.sent.load(Relaxed) + self.received.load(Relaxed)
    }

    fn sent(&self, tally: &Tally) {
        count(&self.sent);
        count(&tally.sent);
    }

    fn received(&self, tally: &Tally) {
        count(&self.received);
        count(&tally.received);
    }
}

/// Makes a message that says its number and follows from it.
fn message(number: u64, largest: u64) -> Message {
    let len = usize::try_from(number.wrapping_mul(0x9e37_79b9) % largest).unwrap_or(0);
    let mut text = format!("{number} ");
    while text.len() < len {
        text.push_str("0123456789abcdef ");
    }
    if number.is_multiple_of(2) { Message::text(text) } else { Message::binary(text) }
}

async fn by_turns(
    mut connection: Connection,
    plan: Plan,
    progress: &Progress,
    dice: &mut Dice,
    tally: &Tally,
) {
    for number in 0..plan.messages {
        if let Err(error) = connection.send(message(number, plan.largest)).await {
            return tally.fault(format!("cannot send: {error}"));
        }
        progress.sent(tally);
        if !is_echo(connection.recv().await, number, plan, progress, tally) {
            return;
        }
        sleep(Duration::from_millis(dice.below(20))).await;
    }
    match dice.below(4) {
        // The program vanishes.
        0 => drop(connection),
        1 => connection.abort(CloseCode::POLICY, "enough"),
        _ => match connection.close(CloseCode::NORMAL, "bye").await {
            Ok(closed) if closed.is_clean() => {}
            Ok(closed) => tally.fault(format!("not closed cleanly: {closed}")),
            Err(error) => tally.fault(format!("cannot close: {error}")),
        },
    }
}

/// Returns whether this is the next message.
fn is_echo(
    received: towline::Result<Option<Message>>,
    number: u64,
    plan: Plan,
    progress: &Progress,
    tally: &Tally,
) -> bool {
    match received {
        Ok(Some(received)) if received == message(number, plan.largest) => {
            progress.received(tally);
            return true;
        }
        Ok(Some(other)) => tally.fault(format!("not message {number}: {other:.60?}")),
        Ok(None) => tally.fault(format!("the end, before message {number}")),
        Err(error) => tally.fault(format!("message {number} is lost: {error}")),
    }
    false
}

/// Sends and receives in two tasks, receiving late.
async fn at_once(
    connection: Connection,
    plan: Plan,
    progress: &Arc<Progress>,
    dice: &mut Dice,
    tally: &Arc<Tally>,
) {
    let (sender, mut receiver) = connection.split();
    // Dropped at the timeout, it aborts the task.
    let mut sending = JoinSet::new();
    sending.spawn(send_all(sender, plan, progress.clone(), tally.clone()));
    if dice.below(3) == 0 {
        sleep(Duration::from_millis(dice.below(1_500))).await;
    }
    if dice.below(6) == 0 {
        // It vanishes while messages are under way.
        return;
    }
    receive_all(&mut receiver, plan, progress, tally).await;
    let sender = match sending.join_next().await {
        Some(Ok(Some(sender))) => sender,
        Some(Err(error)) => return tally.broken(&error),
        // It has told the fault.
        Some(Ok(None)) | None => return,
    };
    if let Err(error) = sender.start_close(CloseCode::NORMAL, "bye") {
        return tally.fault(format!("cannot close: {error}"));
    }
    match receiver.recv().await {
        Ok(None) => {}
        other => tally.fault(format!("not the end, by {progress:?}: {other:.60?}")),
    }
}

async fn send_all(
    sender: Sender,
    plan: Plan,
    progress: Arc<Progress>,
    tally: Arc<Tally>,
) -> Option<Sender> {
    for number in 0..plan.messages {
        if let Err(error) = sender.send(message(number, plan.largest)).await {
            tally.fault(format!("cannot send: {error}"));
            return None;
        }
        progress.sent(&tally);
    }
    Some(sender)
}

async fn receive_all(receiver: &mut Receiver, plan: Plan, progress: &Progress, tally: &Tally) {
    for number in 0..plan.messages {
        if !is_echo(receiver.recv().await, number, plan, progress, tally) {
            return;
        }
    }
}
