//! What a subscriber of `tracing` sees: spans of handshakes and of connections, one event at the
//! end, nothing above DEBUG, and no secrets.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use towline::{Accept, Client, CloseCode, Server};
use tracing::field::{Field, Visit};
use tracing::{Event, Instrument as _, Level, Metadata, Subscriber, span};
use tracing_core::span::Current;

use crate::http::{request, says};
use crate::wire::settle;

#[derive(Debug, Clone, Default)]
struct Seen {
    name: &'static str,
    target: &'static str,
    /// Whether it was made without a parent, and not in the current span.
    is_root: bool,
    parent: Option<u64>,
    follows: Vec<u64>,
    fields: HashMap<&'static str, String>,
    metadata: Option<&'static Metadata<'static>>,
}

#[derive(Default)]
struct Log {
    spans: HashMap<u64, Seen>,
    events: Vec<Seen>,
    loudest: Option<Level>,
    stack: Vec<u64>,
}

/// Keeps all that is at this level or above it.
#[derive(Clone)]
struct Collector {
    log: Arc<Mutex<Log>>,
    next: Arc<AtomicU64>,
    level: Level,
}

impl Collector {
    fn new(level: Level) -> Self {
        Self { log: Arc::default(), next: Arc::new(AtomicU64::new(1)), level }
    }

    fn spans(&self, name: &str) -> Vec<(u64, Seen)> {
        let log = self.log.lock().unwrap();
        let mut spans: Vec<_> = log
            .spans
            .iter()
            .filter(|(_, seen)| seen.name == name)
            .map(|(id, s)| (*id, s.clone()))
            .collect();
        spans.sort_by_key(|(id, _)| *id);
        spans
    }

    fn ends(&self) -> Vec<Seen> {
        let log = self.log.lock().unwrap();
        let is_end =
            |event: &&Seen| event.fields.get("message").is_some_and(|it| it == "connection closed");
        log.events.iter().filter(is_end).cloned().collect()
    }
}

struct Fields<'f>(&'f mut HashMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("towline") && *metadata.level() <= self.level
            || metadata.target().contains("spans")
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut log = self.log.lock().unwrap();
        let parent = match attributes.is_contextual() {
            true => log.stack.last().copied(),
            false => attributes.parent().map(span::Id::into_u64),
        };
        let metadata = attributes.metadata();
        let mut seen = Seen {
            name: metadata.name(),
            target: metadata.target(),
            is_root: attributes.is_root(),
            parent,
            metadata: Some(metadata),
            ..Seen::default()
        };
        attributes.record(&mut Fields(&mut seen.fields));
        if metadata.target().starts_with("towline::") {
            log.loudest = log.loudest.max(Some(*metadata.level()));
        }
        log.spans.insert(id, seen);
        span::Id::from_u64(id)
    }

    fn record(&self, id: &span::Id, values: &span::Record<'_>) {
        let mut log = self.log.lock().unwrap();
        values.record(&mut Fields(&mut log.spans.get_mut(&id.into_u64()).unwrap().fields));
    }

    fn record_follows_from(&self, id: &span::Id, follows: &span::Id) {
        let mut log = self.log.lock().unwrap();
        log.spans.get_mut(&id.into_u64()).unwrap().follows.push(follows.into_u64());
    }

    fn event(&self, event: &Event<'_>) {
        let mut seen = Seen {
            target: event.metadata().target(),
            parent: event.parent().map(span::Id::into_u64),
            ..Seen::default()
        };
        event.record(&mut Fields(&mut seen.fields));
        self.log.lock().unwrap().events.push(seen);
    }

    fn enter(&self, id: &span::Id) {
        self.log.lock().unwrap().stack.push(id.into_u64());
    }

    fn exit(&self, id: &span::Id) {
        let mut log = self.log.lock().unwrap();
        let at = log.stack.iter().rposition(|it| *it == id.into_u64()).unwrap();
        log.stack.remove(at);
    }

    fn current_span(&self) -> Current {
        let log = self.log.lock().unwrap();
        let current = log.stack.last().map(|id| (span::Id::from_u64(*id), log.spans[id].metadata));
        current.map_or_else(Current::none, |(id, metadata)| Current::new(id, metadata.unwrap()))
    }
}

const SECRETS: [&str; 4] = ["s3cret", "deckhand", "room=7", "reason of the"];

/// Panics if any field shows what nobody may see, or a span is louder than DEBUG.
fn check(collector: &Collector) {
    let log = collector.log.lock().unwrap();
    assert!(log.loudest <= Some(Level::DEBUG) || log.loudest.is_none());
    for seen in log.spans.values().chain(&log.events) {
        for value in seen.fields.values() {
            assert!(!SECRETS.iter().any(|secret| value.contains(secret)), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn a_handshake_and_a_connection_have_a_span_each_at_both_ends() {
    let collector = Collector::new(Level::TRACE);
    let guard = towline_kit::subscribe(collector.clone());
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let url = format!("ws://deckhand:s3cret@{address}/chat?room=7&token=s3cret");
    let client = Client::new().protocols(["chat.v2"]).header("cookie", "session=s3cret");

    let of_client = tracing::debug_span!("of the client's program");
    let connecting = async { client.connect(&url).await.unwrap() }.instrument(of_client.clone());
    let accepting = async {
        let request = server.next_request().await.unwrap();
        let of_server = tracing::debug_span!("of the server's program");
        let accept = Accept::new().protocol("chat.v2");
        request.accept_with(accept).instrument(of_server).await.unwrap()
    };
    let (mut at_client, mut at_server) = tokio::join!(connecting, accepting);
    drop(of_client);

    let handshakes = collector.spans("handshake");
    assert_eq!(handshakes.len(), 2, "{handshakes:?}");
    for (_, seen) in &handshakes {
        let fields = &seen.fields;
        assert_eq!(seen.target, "towline::handshake");
        assert_eq!((&*fields["path"], &*fields["status"]), ("/chat", "101"), "{seen:?}");
        assert_eq!((&*fields["protocol"], &*fields["host"]), ("chat.v2", &*address.to_string()));
        assert!(fields["peer"].starts_with("127.0.0.1:"));
    }
    let connections = collector.spans("connection");
    assert_eq!(connections.len(), 2);
    for (_, seen) in &connections {
        assert!(seen.is_root && seen.parent.is_none(), "{seen:?}");
        let role = &seen.fields["role"];
        let own = handshakes.iter().find(|(_, handshake)| handshake.fields["role"] == *role);
        assert_eq!(seen.follows, [own.unwrap().0], "{role}");
        assert_eq!((&*seen.fields["path"], &*seen.fields["protocol"]), ("/chat", "chat.v2"));
    }
    let of_client = collector.spans("of the client's program")[0].0;
    let is_client = |(_, seen): &&(u64, Seen)| seen.fields["role"] == "client";
    assert_eq!(handshakes.iter().find(is_client).unwrap().1.parent, Some(of_client));

    let events = collector.log.lock().unwrap().events.len();
    for _ in 0..10 {
        at_client.send("s3cret").await.unwrap();
        assert!(at_server.recv().await.unwrap().is_some());
        at_server.ping("s3cret").await.unwrap();
    }
    assert_eq!(collector.log.lock().unwrap().events.len(), events, "nothing for each message");
    assert!(collector.ends().is_empty());

    let receiving = tokio::spawn(async move { at_server.recv().await.map(|_| at_server) });
    at_client.close(CloseCode::new(4001), "reason of the s3cret kind").await.unwrap();
    let _ = receiving.await.unwrap();
    settle().await;
    let ends = collector.ends();
    assert_eq!(ends.len(), 2, "{ends:?}");
    for end in &ends {
        let fields = &end.fields;
        assert_eq!(end.target, "towline::connection");
        let span = connections.iter().find(|(id, _)| Some(*id) == end.parent).unwrap();
        assert_eq!(span.1.fields["id"], fields["id"]);
        let is_client = span.1.fields["role"] == "client";
        assert_eq!(fields["initiator"], if is_client { "local" } else { "remote" });
        assert_eq!((&*fields["code"], &*fields["cause"]), ("4001", "closed by handshake"));
        let (sent, received) = if is_client { ("10", "0") } else { ("0", "10") };
        assert_eq!(fields["messages_sent"], sent);
        assert_eq!(fields["messages_received"], received);
        assert!(fields.contains_key("duration"));
    }
    drop((at_client, server));
    drop(guard);
    check(&collector);
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_in_the_span_of_its_handshake() {
    let collector = Collector::new(Level::DEBUG);
    let guard = towline_kit::subscribe(collector.clone());
    let mut server = Server::builder().build();
    let far = says(&server, request("/?token=s3cret", &[]).as_bytes()).await;
    let rejected = server.next_request().await.unwrap();
    rejected.reject(http::StatusCode::NOT_FOUND, "no such room").await.unwrap();
    let dropped = says(&server, request("/?token=s3cret", &[]).as_bytes()).await;
    drop(server.next_request().await.unwrap());
    let invalid = says(&server, b"GET /?token=s3cret HTTP/1.1\r\nHost: h\r\n\r\n").await;
    settle().await;
    let statuses: Vec<_> = collector
        .spans("handshake")
        .into_iter()
        .map(|(_, seen)| seen.fields["status"].clone())
        .collect();
    assert_eq!(statuses, ["404", "500", "426"]);
    drop((far, dropped, invalid, guard));
    check(&collector);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_through_an_http_library_is_in_the_span_of_its_request() {
    let collector = Collector::new(Level::DEBUG);
    let guard = towline_kit::subscribe(collector.clone());
    let mut server = Server::builder().build();
    let handle = server.handle();
    let answering = async move {
        let gone = async { Err(std::io::ErrorKind::BrokenPipe.into()) };
        handle.upgrade(crate::http::http_request(), None, gone).await
    };
    let answering = tokio::spawn(answering.instrument(tracing::debug_span!("of the library")));
    let request = server.next_request().await.unwrap();
    request.reject(http::StatusCode::NOT_FOUND, "no such room").await.unwrap();
    assert_eq!(answering.await.unwrap().status(), 404);
    let of_library = collector.spans("of the library")[0].0;
    assert_eq!(collector.spans("handshake")[0].1.parent, Some(of_library));
    drop(guard);
}

/// However a connection ends, that is one event.
#[tokio::test(start_paused = true)]
async fn each_end_is_one_event() {
    let collector = Collector::new(Level::DEBUG);
    let guard = towline_kit::subscribe(collector.clone());
    let config = towline::Config::server();
    let (aborted, _aborted) = crate::wire::connect(towline::Role::Server, &config);
    aborted.abort(CloseCode::POLICY, "reason of the program");
    drop(aborted);
    let (mut lost, far) = crate::wire::connect(towline::Role::Client, &config);
    far.fails(std::io::ErrorKind::ConnectionReset);
    lost.recv().await.unwrap_err();
    let (silent, _silent) = crate::wire::connect(towline::Role::Server, &config);
    silent.sender().wait_closed().await;
    drop((lost, silent));
    settle().await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    let seen: Vec<_> = collector
        .ends()
        .iter()
        .map(|end| {
            format!("{} {}: {}", end.fields["code"], end.fields["initiator"], end.fields["cause"])
        })
        .collect();
    assert_eq!(
        seen,
        [
            "1008 local: aborted by this end",
            "1006 remote: the transport failed: connection reset",
            "1006 local: the peer does not respond (keepalive)",
        ]
    );
    drop(guard);
    check(&collector);
}

#[tokio::test(start_paused = true)]
async fn at_info_there_is_nothing_of_a_connection() {
    let collector = Collector::new(Level::INFO);
    let guard = towline_kit::subscribe(collector.clone());
    let mut server = Server::builder().build();
    let far = says(&server, request("/", &[]).as_bytes()).await;
    let connection = server.next_request().await.unwrap().accept().await.unwrap();
    drop(far);
    drop(connection);
    settle().await;
    drop((server, guard));
    let log = collector.log.lock().unwrap();
    assert!(log.spans.is_empty() && log.events.is_empty(), "{:?}", log.events);
}
