//! An engine.io server (protocol 4): a handshake packet, heartbeats in text, binary messages, and
//! sessions that begin with HTTP polling and are upgraded. It echoes each message.

pub mod towline;
pub mod tungstenite;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

/// The most bytes of a message.
pub const MAX_PAYLOAD: usize = 100_000;

/// Between the packets of a polled body.
const SEPARATOR: &str = "\x1e";

/// The times of the heartbeat.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How often the server pings.
    pub ping_interval: Duration,
    /// How long it waits for the pong.
    pub ping_timeout: Duration,
}

/// The sessions that poll.
pub(crate) struct Engine {
    options: Options,
    polling: Mutex<HashMap<String, Arc<Polling>>>,
}

#[derive(Default)]
struct Polling {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    packets: VecDeque<String>,
    is_upgrading: bool,
}

/// What a request is.
pub(crate) enum Asked {
    /// A WebSocket, for a new session or to upgrade this one.
    WebSocket(Option<String>),
    /// Answered.
    Answered(Response<Full<Bytes>>),
}

impl Engine {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, polling: Mutex::default() }
    }

    pub(crate) fn heart(&self) -> Heart {
        let at = Instant::now() + self.options.ping_interval;
        Heart { options: self.options, at, is_waiting: false }
    }

    /// Returns the name of a new session, and its first packet.
    pub(crate) fn open(&self, upgrades: &[&str]) -> (String, String) {
        let sid = format!("{:016x}", RandomState::new().hash_one(0));
        let packet = json!({
            "sid": sid,
            "upgrades": upgrades,
            "pingInterval": self.options.ping_interval.as_millis(),
            "pingTimeout": self.options.ping_timeout.as_millis(),
            "maxPayload": MAX_PAYLOAD,
        });
        (sid, format!("0{packet}"))
    }

    pub(crate) async fn ask(&self, request: &mut Request<Incoming>) -> Asked {
        let query: HashMap<_, _> = request
            .uri()
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let sid = query.get("sid");
        let session = sid.and_then(|sid| self.polling().get(sid).cloned());
        let transport = query.get("transport").map(String::as_str);
        Asked::Answered(match (query.get("EIO").map(String::as_str), transport) {
            (Some("4"), Some("polling" | "websocket")) if sid.is_some() && session.is_none() => {
                refuse(1, "Session ID unknown")
            }
            (Some("4"), Some("websocket")) => return Asked::WebSocket(sid.cloned()),
            (Some("4"), Some("polling")) => match (session, request.method()) {
                (None, &Method::GET) => {
                    let (sid, packet) = self.open(&["websocket"]);
                    self.polling().insert(sid, Arc::default());
                    Response::new(packet.into())
                }
                (Some(session), &Method::GET) => {
                    Response::new(session.poll(self.options.ping_interval).await.into())
                }
                (Some(session), &Method::POST) => session.post(request.body_mut()).await,
                _ => refuse(2, "Bad handshake method"),
            },
            (Some("4"), _) => refuse(0, "Transport unknown"),
            _ => refuse(5, "Unsupported protocol version"),
        })
    }

    /// Begins the upgrade of a session: a request that polls is answered.
    pub(crate) fn probe(&self, sid: &str) {
        if let Some(session) = self.polling().get(sid) {
            session.state().is_upgrading = true;
            session.changed.notify_one();
        }
    }

    /// Ends the polling of a session, and returns the packets that wait. `None` if another connection
    /// has upgraded it.
    pub(crate) fn upgrade(&self, sid: &str) -> Option<VecDeque<String>> {
        let session = self.polling().remove(sid)?;
        Some(std::mem::take(&mut session.state().packets))
    }

    fn polling(&self) -> MutexGuard<'_, HashMap<String, Arc<Polling>>> {
        self.polling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refuse(code: u8, message: &str) -> Response<Full<Bytes>> {
    let body = json!({ "code": code, "message": message }).to_string();
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

impl Polling {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn poll(&self, longest: Duration) -> String {
        let packets = async {
            loop {
                {
                    let mut state = self.state();
                    if state.is_upgrading {
                        return "6".to_owned();
                    }
                    if !state.packets.is_empty() {
                        return Vec::from(std::mem::take(&mut state.packets)).join(SEPARATOR);
                    }
                }
                self.changed.notified().await;
            }
        };
        timeout(longest, packets).await.unwrap_or_else(|_| "2".to_owned())
    }

    async fn post(&self, body: &mut Incoming) -> Response<Full<Bytes>> {
        let Ok(body) = Limited::new(body, MAX_PAYLOAD).collect().await else {
            return refuse(3, "Bad request");
        };
        let body = body.to_bytes();
        for packet in std::str::from_utf8(&body).unwrap_or_default().split(SEPARATOR) {
            if packet.starts_with('4') {
                self.state().packets.push_back(packet.to_owned());
                self.changed.notify_one();
            }
        }
        Response::new("ok".into())
    }
}

/// The heartbeat of a connection.
pub(crate) struct Heart {
    options: Options,
    at: Instant,
    is_waiting: bool,
}

/// What to do about a packet.
pub(crate) enum Reaction {
    Nothing,
    Send(String),
    Close,
}

impl Heart {
    /// Waits until a ping is due. Returns whether the client still answers.
    pub(crate) async fn beat(&mut self) -> bool {
        sleep_until(self.at).await;
        self.at = Instant::now() + self.options.ping_timeout;
        !std::mem::replace(&mut self.is_waiting, true)
    }

    pub(crate) fn react(&mut self, packet: &str) -> Reaction {
        match packet.as_bytes() {
            [b'2', ..] => Reaction::Send(format!("3{}", &packet[1..])),
            b"3" => {
                if std::mem::take(&mut self.is_waiting) {
                    self.at = Instant::now() + self.options.ping_interval;
                }
                Reaction::Nothing
            }
            [b'4', ..] => Reaction::Send(packet.to_owned()),
            b"6" => Reaction::Nothing,
            _ => Reaction::Close,
        }
    }
}
