//! The connections of all workers as they are now, and how the last ones ended: for the console.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use towline::{
    CloseCode, Closed, Info, Initiator, Sender, ServerHandle, ServerStats, Stats, Traffic,
};

use crate::secrets;

/// How many connections to list: the first by the order that is asked for.
const LISTED: usize = 200;

/// How many ends to keep.
const KEPT: usize = 50;

/// How long a list is good for, since a list looks at every connection.
const FRESH: Duration = Duration::from_millis(500);

/// The connections of all workers. Clones share it.
#[derive(Clone)]
pub(crate) struct Live(Arc<Inner>);

struct Inner {
    /// Whether anybody may see it.
    is_on: bool,
    /// One for each worker.
    servers: Mutex<Vec<ServerHandle>>,
    ends: Mutex<VecDeque<End>>,
    /// Locked while a list is made, so that one is made at a time.
    lists: Arc<tokio::sync::Mutex<Vec<List>>>,
}

/// A list that was made.
struct List {
    order: Order,
    made: Instant,
    json: Bytes,
}

/// The end of a connection.
struct End {
    at: Instant,
    about: Value,
}

/// By what the list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    column: Column,
    is_ascending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Age,
    Address,
    Path,
    MessagesIn,
    MessagesOut,
    BytesIn,
    BytesOut,
    Queued,
    RoundTrip,
}

impl Order {
    /// Reads a name of a column, with a minus sign to begin with the largest. `-age` lists the oldest
    /// first.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let name = text.strip_prefix('-');
        let column = match name.unwrap_or(text) {
            "age" => Column::Age,
            "address" => Column::Address,
            "path" => Column::Path,
            "messages_in" => Column::MessagesIn,
            "messages_out" => Column::MessagesOut,
            "bytes_in" => Column::BytesIn,
            "bytes_out" => Column::BytesOut,
            "queued" => Column::Queued,
            "ping" => Column::RoundTrip,
            _ => return None,
        };
        Some(Self { column, is_ascending: name.is_none() })
    }
}

impl Default for Order {
    /// The newest first.
    fn default() -> Self {
        Self { column: Column::Age, is_ascending: true }
    }
}

impl Live {
    pub(crate) fn new(is_on: bool) -> Self {
        Self(Arc::new(Inner {
            is_on,
            servers: Mutex::default(),
            ends: Mutex::default(),
            lists: Arc::default(),
        }))
    }

    /// Adds the connections of a worker.
    pub(crate) fn observe(&self, server: ServerHandle) {
        lock(&self.0.servers).push(server);
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        lock(&self.0.servers).iter().map(|server| server.connections().len()).sum()
    }

    /// Notes how a connection has ended.
    pub(crate) fn ended(&self, sender: &Sender, closed: &Closed) {
        if !self.0.is_on {
            return;
        }
        let about = end(sender.info(), closed, &sender.stats());
        let mut ends = lock(&self.0.ends);
        ends.push_front(End { at: Instant::now(), about });
        ends.truncate(KEPT);
    }

    /// Closes a connection. Returns whether there is one with this id.
    pub(crate) fn close(&self, id: u64) -> bool {
        let servers = lock(&self.0.servers);
        let found = servers.iter().find_map(|server| server.connections().get(id));
        found.is_some_and(|sender| {
            // It fails only if the connection is closed.
            let _ = sender.start_close(CloseCode::NORMAL, "closed in the console");
            true
        })
    }

    /// The list, as JSON, or `None` if making it failed. `mode` is the server's.
    pub(crate) async fn json(&self, mode: &'static str, order: Order) -> Option<Bytes> {
        let mut lists = self.0.lists.clone().lock_owned().await;
        lists.retain(|list| list.made.elapsed() < FRESH);
        if let Some(list) = lists.iter().find(|list| list.order == order) {
            return Some(list.json.clone());
        }
        // With many connections it takes long. The lock is held to the end of it, whether or not the
        // client stays.
        let live = self.clone();
        let making = tokio::task::spawn_blocking(move || {
            let json = Bytes::from(live.list(mode, order));
            lists.push(List { order, made: Instant::now(), json: json.clone() });
            json
        });
        making.await.ok()
    }

    fn list(&self, mode: &str, order: Order) -> String {
        let servers: Vec<_> = lock(&self.0.servers).clone();
        let (mut sums, mut rows) = (ServerStats::default(), Vec::new());
        for server in &servers {
            add(&mut sums, &server.stats());
            rows.extend(server.connections().senders().into_iter().map(|sender| {
                let stats = sender.stats();
                (sender, stats)
            }));
        }
        sort(&mut rows, order);
        let list: Vec<_> =
            rows.iter().take(LISTED).map(|(sender, stats)| row(sender, stats)).collect();
        // A sender keeps a connection open that its own task has dropped.
        drop(rows);
        let ends: Vec<_> = lock(&self.0.ends).iter().map(End::json).collect();
        let codes = sums.closed.iter().map(|(code, count)| (code.get().to_string(), json!(count)));
        let statuses =
            sums.rejected.iter().map(|(status, count)| (status.as_u16().to_string(), json!(count)));
        let kinds = sums.failed.iter().map(|(kind, count)| (kind.code().to_owned(), json!(count)));
        json!({
            "mode": mode,
            "connections": sums.connections, "total": sums.connections_total,
            "received": traffic(&sums.received), "sent": traffic(&sums.sent),
            "queued": sums.queued_bytes, "closed": codes.collect::<Map<_, _>>(),
            "rejected": statuses.collect::<Map<_, _>>(), "failed": kinds.collect::<Map<_, _>>(),
            "list": list, "ends": ends,
        })
        .to_string()
    }
}

impl End {
    fn json(&self) -> Value {
        let mut about = self.about.clone();
        about["ago"] = json!(milliseconds(self.at.elapsed()));
        about
    }
}

/// Adds a worker to the sums: those that are shown.
fn add(sums: &mut ServerStats, of_one: &ServerStats) {
    sums.connections += of_one.connections;
    sums.connections_total += of_one.connections_total;
    sums.queued_bytes += of_one.queued_bytes;
    for (sum, more) in [(&mut sums.received, &of_one.received), (&mut sums.sent, &of_one.sent)] {
        sum.messages += more.messages;
        sum.payload_bytes += more.payload_bytes;
    }
    for (code, count) in &of_one.closed {
        *sums.closed.entry(*code).or_default() += count;
    }
    for (status, count) in &of_one.rejected {
        *sums.rejected.entry(*status).or_default() += count;
    }
    for (kind, count) in &of_one.failed {
        *sums.failed.entry(*kind).or_default() += count;
    }
}

fn sort(rows: &mut [(Sender, Stats)], order: Order) {
    type Row = (Sender, Stats);
    let number = |key: fn(&Row) -> u64| move |row: &Row| (key(row), row.0.info().id);
    let mut by = |key: fn(&Row) -> u64| {
        let key = number(key);
        match order.is_ascending {
            true => rows.sort_unstable_by_key(key),
            false => rows.sort_unstable_by_key(|row| Reverse(key(row))),
        }
    };
    match order.column {
        Column::Age => by(|(_, stats)| microseconds(stats.age)),
        Column::MessagesIn => by(|(_, stats)| stats.received.messages),
        Column::MessagesOut => by(|(_, stats)| stats.sent.messages),
        Column::BytesIn => by(|(_, stats)| stats.received.payload_bytes),
        Column::BytesOut => by(|(_, stats)| stats.sent.payload_bytes),
        Column::Queued => by(|(_, stats)| stats.queued_bytes as u64),
        Column::RoundTrip => {
            by(|(_, stats)| stats.round_trip.map_or(0, |trip| microseconds(trip.smoothed)));
        }
        Column::Address | Column::Path => {
            rows.sort_unstable_by(|(a, _), (b, _)| {
                let (a, b) = (a.info(), b.info());
                let by_column = match order.column {
                    Column::Path => a.path().cmp(b.path()),
                    _ => address_key(a).cmp(&address_key(b)),
                };
                by_column.then(a.id.cmp(&b.id))
            });
            if !order.is_ascending {
                rows.reverse();
            }
        }
    }
}

fn address_key(info: &Info) -> (Option<IpAddr>, Option<u16>) {
    (info.remote_address, info.peer_addr.map(|peer| peer.port()))
}

fn row(sender: &Sender, stats: &Stats) -> Value {
    let info = sender.info();
    let compression = info.extensions().iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "id": info.id,
        "address": address(info),
        // Without the query, which often has a token.
        "path": info.path(),
        "protocol": info.protocol.as_deref().map(secrets::protocol_in_log),
        "compression": compression.join(", "),
        "tls": info.tls.as_ref().map(|tls| tls.version.to_string()),
        "http": info.http_version().map(|version| format!("{version:?}")),
        "age": milliseconds(stats.age), "idle": milliseconds(stats.idle),
        "received": traffic(&stats.received), "sent": traffic(&stats.sent),
        "queued": stats.queued_bytes, "queued_messages": stats.queued_messages,
        "ping": stats.round_trip.map(|trip| microseconds(trip.smoothed)),
        "open": sender.is_open(),
    })
}

fn end(info: &Info, closed: &Closed, stats: &Stats) -> Value {
    json!({
        "id": info.id, "address": address(info), "path": info.path(),
        "code": closed.code().get(), "reason": closed.reason(), "clean": closed.is_clean(),
        "by": match closed.initiator() {
            Initiator::Local => "server",
            _ => "client",
        },
        "words": closed.to_string(), "lasted": milliseconds(stats.age),
    })
}

/// The client's address: with its port, unless a proxy has told it.
fn address(info: &Info) -> String {
    match (info.remote_address, info.peer_addr) {
        (Some(client), Some(peer)) if client == peer.ip().to_canonical() => peer.to_string(),
        (Some(client), _) => client.to_string(),
        (None, Some(peer)) => peer.to_string(),
        (None, None) => String::new(),
    }
}

fn traffic(traffic: &Traffic) -> Value {
    json!({ "messages": traffic.messages, "bytes": traffic.payload_bytes })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_sorted_by_a_column_that_there_is() {
        assert_eq!(Order::read("age"), Some(Order::default()));
        let oldest = Order { column: Column::Age, is_ascending: false };
        assert_eq!(Order::read("-age"), Some(oldest));
        for column in ["address", "path", "messages_in", "messages_out", "bytes_in", "bytes_out"] {
            assert!(Order::read(column).is_some(), "{column}");
        }
        for wrong in ["", "-", "--age", "nonsense"] {
            assert_eq!(Order::read(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn an_empty_server_has_a_list() {
        let live = Live::new(true);
        live.observe(towline::Server::builder().build().handle());
        let list = live.json("echo", Order::default()).await.unwrap();
        let list: Value = serde_json::from_slice(&list).unwrap();
        assert_eq!((&list["mode"], &list["connections"]), (&json!("echo"), &json!(0)));
        assert_eq!((&list["list"], &list["ends"]), (&json!([]), &json!([])));
        assert!(!live.close(1));
    }
    #[tokio::test(start_paused = true)]
    async fn a_list_of_each_order_is_good_for_a_while() {
        let live = Live::new(true);
        let orders = ["age", "-path"].map(|name| Order::read(name).unwrap());
        let mut made = Vec::new();
        for _ in 0..2 {
            for order in orders {
                made.push(live.json("echo", order).await.unwrap());
            }
        }
        let is_same = |one: usize, other: usize| made[one].as_ptr() == made[other].as_ptr();
        assert!(is_same(0, 2) && is_same(1, 3) && !is_same(0, 1));
        tokio::time::advance(FRESH).await;
        let again = live.json("echo", orders[0]).await.unwrap();
        assert_ne!(again.as_ptr(), made[0].as_ptr());
        assert_eq!(live.0.lists.lock().await.len(), 1);
    }
}
