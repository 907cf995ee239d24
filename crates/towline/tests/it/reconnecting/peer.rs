//! A server in memory that treats each attempt as the test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Instant, sleep};
use towline::{
    Attempt, Client, Config, Connection, Dial, Error, Message, ReconnectEvent, ReconnectEvents,
    Reconnecting, Role,
};
use towline_kit::frame;

use crate::http::{accepts, head};

/// What the server does with an attempt.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    /// Ends the stream without an answer.
    HangsUp,
    /// Does not answer.
    IsSilent,
    /// Answers with this and ends the stream.
    Answers(String),
    /// Accepts, and then does the next.
    Accepts(Then),
}

/// What the server does with a connection.
#[derive(Debug, Clone)]
pub(crate) enum Then {
    /// Ends the stream after this time.
    Ends(Duration),
    /// Ends the stream in the middle of a message.
    EndsMidMessage,
    /// Says nothing and reads nothing.
    IsSilent,
    /// Closes with this code, after this time.
    Closes(u16, Duration),
    /// Sends bytes that are no frame.
    BreaksTheProtocol,
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// The server closes with this code at once.
pub(crate) fn closes(code: u16) -> Does {
    Does::Accepts(Then::Closes(code, Duration::ZERO))
}

/// The server refuses with this status and these header lines.
pub(crate) fn refuses(status: u16, headers: &str) -> Does {
    Does::Answers(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n{headers}\r\n"))
}

/// The attempts that were made, and when.
#[derive(Default)]
pub(crate) struct Script {
    acts: VecDeque<Does>,
    pub(crate) attempts: Vec<(Attempt, Instant)>,
}

pub(crate) type Shared = Arc<Mutex<Script>>;

/// A client of a server that treats its attempts so, one by one. After the last, it closes with 1000.
pub(crate) fn client(acts: impl IntoIterator<Item = Does>) -> (Reconnecting, Shared) {
    client_with(Config::client(), acts)
}

pub(crate) fn client_with(
    config: Config,
    acts: impl IntoIterator<Item = Does>,
) -> (Reconnecting, Shared) {
    let script = Script { acts: acts.into_iter().collect(), attempts: Vec::new() };
    let script = Arc::new(Mutex::new(script));
    let kept = script.clone();
    let reconnecting = Client::new().config(config).reconnecting(move |attempt| {
        let mut script = kept.lock().unwrap();
        script.attempts.push((attempt, Instant::now()));
        let (near, far) = duplex(64 << 10);
        let act = script.acts.pop_front().unwrap_or_else(|| closes(1000));
        tokio::spawn(serve(far, act));
        async move { Ok(Dial::over(near, "ws://h/")) }
    });
    (reconnecting, script)
}

async fn serve(mut far: DuplexStream, act: Does) {
    match act {
        Does::HangsUp => {
            head(&mut far).await;
        }
        Does::IsSilent => drain(far).await,
        Does::Answers(answer) => {
            head(&mut far).await;
            far.write_all(answer.as_bytes()).await.unwrap();
        }
        Does::Accepts(then) => {
            let request = head(&mut far).await;
            far.write_all(&accepts(&request, "")).await.unwrap();
            connection(far, then).await;
        }
    }
}

async fn connection(mut far: DuplexStream, then: Then) {
    let bytes = match then {
        Then::Ends(time) => return sleep(time).await,
        Then::IsSilent => return std::future::pending().await,
        Then::EndsMidMessage => frame().text("whole?").bytes()[..5].to_vec(),
        Then::BreaksTheProtocol => frame().opcode(3).bytes(),
        Then::Closes(1005, time) => {
            sleep(time).await;
            frame().close_with("").bytes()
        }
        Then::Closes(code, time) => {
            sleep(time).await;
            frame().close(code, "").bytes()
        }
    };
    let is_close = !matches!(then, Then::EndsMidMessage);
    let _ = far.write_all(&bytes).await;
    if is_close {
        // The client's answer, and no more.
        let _ = far.read_u8().await;
    }
}

async fn drain(mut far: DuplexStream) {
    let _ = far.read_to_end(&mut Vec::new()).await;
}

/// What a client came to whose program does no more than receive.
pub(crate) struct Outcome {
    pub(crate) connections: usize,
    pub(crate) end: Result<(), Error>,
    pub(crate) events: Vec<ReconnectEvent>,
}

/// Receives on each connection until its end, until there is no further one.
pub(crate) async fn run(reconnecting: &mut Reconnecting) -> Outcome {
    let mut events = reconnecting.events();
    let mut connections = 0;
    let end = loop {
        match reconnecting.next().await {
            Ok(Some(connection)) => {
                connections += 1;
                receive_all(connection).await;
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    Outcome { connections, end, events: all(&mut events).await }
}

pub(crate) async fn receive_all(mut connection: Connection) -> Vec<Message> {
    assert_eq!(connection.role(), Role::Client);
    let mut messages = Vec::new();
    while let Ok(Some(message)) = connection.recv().await {
        messages.push(message);
    }
    messages
}

/// The events up to the last.
pub(crate) async fn all(events: &mut ReconnectEvents) -> Vec<ReconnectEvent> {
    let mut all = Vec::new();
    while let Some(event) = events.next().await {
        all.push(event);
    }
    all
}

/// The events in short.
pub(crate) fn names(events: &[ReconnectEvent]) -> Vec<String> {
    let name = |event: &ReconnectEvent| match event {
        ReconnectEvent::Connecting { attempt } => format!("connecting {attempt}"),
        ReconnectEvent::Connected => "connected".to_owned(),
        ReconnectEvent::Lost { .. } => "lost".to_owned(),
        ReconnectEvent::Waiting { .. } => "waiting".to_owned(),
        ReconnectEvent::GaveUp { .. } => "gave up".to_owned(),
        ReconnectEvent::Ended { .. } => "ended".to_owned(),
        event => format!("{event:?}"),
    };
    events.iter().map(name).collect()
}

/// The delays that were waited for.
pub(crate) fn delays(events: &[ReconnectEvent]) -> Vec<Duration> {
    let delay = |event: &ReconnectEvent| match event {
        ReconnectEvent::Waiting { delay, .. } => Some(*delay),
        _ => None,
    };
    events.iter().filter_map(delay).collect()
}
