//! Order, once and completeness, by a checker, while connections join, leave and close and calls
//! are dropped, on many threads.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::{JoinSet, yield_now};
use towline::topics::{Incoming, Relay, RelayError, RelayFuture, TopicOptions, Topics};
use towline::{CloseCode, Config, Connection, Keepalive, Message, Outgoing, Role, WhenFull};

const PUBLISHERS: usize = 6;
const ROOMS: usize = 3;
const EACH: usize = 400;

/// How far each publisher is in each room: how many messages it has begun to publish, and how many
/// are published.
#[derive(Default)]
struct Progress {
    begun: [[AtomicUsize; ROOMS]; PUBLISHERS],
    done: [[AtomicUsize; ROOMS]; PUBLISHERS],
}

type Counts = [usize; PUBLISHERS];

fn now(counts: &[[AtomicUsize; ROOMS]; PUBLISHERS], room: usize) -> Counts {
    std::array::from_fn(|publisher| counts[publisher][room].load(Ordering::SeqCst))
}

/// What a member may and must have got.
struct Member {
    /// What was published before it began to join, which it must not get.
    before: Counts,
    /// What was begun before it had joined, beyond which it must get all.
    joined: Counts,
    /// What was begun before it had left, beyond which it must not get any.
    left: Option<Counts>,
    stays: bool,
    /// The publishers on the same node. What others published before it joined can be on its way.
    is_local: [bool; PUBLISHERS],
    heard: Vec<(usize, usize)>,
}

/// A sequence that is the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

impl Member {
    fn check(&self, total: &Counts) {
        let mut last: HashMap<usize, usize> = HashMap::new();
        for &(publisher, number) in &self.heard {
            // Messages are numbered from 1.
            let (is_local, joined) = (self.is_local[publisher], self.joined[publisher]);
            assert!(!is_local || number > self.before[publisher], "published before it joined");
            if let Some(left) = &self.left {
                assert!(number <= left[publisher], "published after it left");
            }
            let next = last.insert(publisher, number).map_or(1, |last| last + 1);
            assert!(number >= next, "{number} of {publisher} came after {}", next - 1);
            let is_due = if is_local && next > 1 { next } else { next.max(joined + 1) };
            assert!(number <= is_due, "{number} of {publisher} came, and {is_due} did not");
        }
        if self.stays {
            for (publisher, total) in total.iter().enumerate() {
                let last = last.get(&publisher).copied();
                let due = (*total > self.joined[publisher]).then_some(*total);
                assert!(due.is_none() || last == due, "{last:?} of {due:?}");
            }
        }
    }
}

async fn publish(publisher: usize, topics: Topics, progress: Arc<Progress>) {
    let mut chance = Chance(0x9e37_79b9 + publisher as u64);
    let rooms: Vec<_> = (0..ROOMS).map(|room| topics.topic(format!("{room}")).unwrap()).collect();
    for _ in 0..EACH * ROOMS {
        let room = usize::try_from(chance.below(ROOMS as u64)).unwrap();
        let number = progress.begun[publisher][room].fetch_add(1, Ordering::SeqCst) + 1;
        let text = format!("{publisher} {number}");
        if chance.below(2) == 0 {
            rooms[room].publish(text).await;
        } else if rooms[room].publish(text).now_or_never().is_none() {
            // It was dropped, and is published to nobody.
            progress.begun[publisher][room].fetch_sub(1, Ordering::SeqCst);
            yield_now().await;
            continue;
        }
        progress.done[publisher][room].fetch_add(1, Ordering::SeqCst);
        if chance.below(30) == 0 {
            yield_now().await;
        }
    }
}

async fn listen(mut client: Connection) -> Vec<(usize, usize)> {
    let mut heard = Vec::new();
    while let Ok(Some(message)) = client.recv().await {
        let (publisher, number) = message.as_text().unwrap().split_once(' ').unwrap();
        heard.push((publisher.parse().unwrap(), number.parse().unwrap()));
    }
    heard
}

fn pair() -> (Connection, Connection) {
    let (near, far) = tokio::io::duplex(10_000);
    let server = Config::server().keepalive(None::<Keepalive>).send_high_water_mark(1 << 30);
    let client = Config::client().keepalive(None::<Keepalive>);
    (
        Connection::from_stream(near, Role::Server, &server, Bytes::new()),
        Connection::from_stream(far, Role::Client, &client, Bytes::new()),
    )
}

/// A member that joins after a while. It stays until all is published, or leaves, closes or is
/// dropped.
async fn be_member(number: u64, nodes: Arc<Nodes>, progress: Arc<Progress>) -> (usize, Member) {
    let (node, topics) = nodes.of(usize::try_from(number).unwrap());
    let mut chance = Chance(0x1234_5678 + number);
    let room = usize::try_from(number % ROOMS as u64).unwrap();
    for _ in 0..chance.below(200) {
        yield_now().await;
    }
    let (connection, client) = pair();
    let listening = tokio::spawn(listen(client));
    let topic = topics.topic(format!("{room}")).unwrap();
    let before = now(&progress.done, room);
    // Dropped, and begun again.
    let _ = topic.join(&connection).now_or_never();
    topic.join(&connection).await.unwrap();
    let joined = now(&progress.begun, room);
    let way = number % 4;
    let (mut left, stays) = (None, way == 0);
    if stays {
        while !nodes.is_done() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // What is queued in the topic is delivered to this node's members before this is.
        let (witness, mut at_witness) = pair();
        topic.join(&witness).await.unwrap();
        topic.publish("99 1").await;
        at_witness.recv().await.unwrap().unwrap();
        topic.leave(&connection);
    } else {
        for _ in 0..chance.below(300) {
            yield_now().await;
        }
        if way == 1 {
            assert!(topic.leave(&connection));
            left = Some(now(&progress.begun, room));
        }
    }
    match way {
        // Everything that is queued is sent.
        0 | 1 => drop(connection.start_close(CloseCode::NORMAL, "")),
        2 => connection.abort(CloseCode::GOING_AWAY, ""),
        _ => drop(connection.sender()),
    }
    drop(connection);
    let mut heard = listening.await.unwrap();
    heard.retain(|(publisher, _)| *publisher != 99);
    let is_local = std::array::from_fn(|publisher| nodes.of(publisher).0 == node);
    (room, Member { before, joined, left, stays, is_local, heard })
}

fn options(_: &str) -> TopicOptions {
    TopicOptions::default().max_queued_bytes(5000)
}

/// The nodes, and what is on its way between them.
struct Nodes {
    topics: Vec<Topics>,
    cluster: Arc<Cluster>,
    is_published: AtomicBool,
}

#[derive(Default)]
struct Cluster {
    nodes: Mutex<Vec<Node>>,
    on_their_way: AtomicUsize,
}

struct Node {
    interest: HashSet<String>,
    to: UnboundedSender<(String, Message)>,
}

impl Nodes {
    fn of(&self, number: usize) -> (usize, Topics) {
        let node = number % self.topics.len();
        (node, self.topics[node].clone())
    }

    fn is_done(&self) -> bool {
        let is_published = self.is_published.load(Ordering::SeqCst);
        is_published && self.cluster.on_their_way.load(Ordering::SeqCst) == 0
    }
}

struct Carrier {
    cluster: Arc<Cluster>,
    node: usize,
}

impl Relay for Carrier {
    fn start(&self, incoming: Incoming) {
        let (to, mut from) = unbounded_channel::<(String, Message)>();
        self.cluster.nodes.lock().unwrap().push(Node { interest: HashSet::new(), to });
        let cluster = Arc::downgrade(&self.cluster);
        tokio::spawn(async move {
            while let Some((topic, message)) = from.recv().await {
                incoming.deliver(&topic, message).await;
                let cluster = cluster.upgrade().unwrap();
                cluster.on_their_way.fetch_sub(1, Ordering::SeqCst);
            }
        });
    }

    fn publish(&self, topic: &str, message: Outgoing<'_>) {
        let message = message.into_message();
        for (number, node) in self.cluster.nodes.lock().unwrap().iter().enumerate() {
            if number != self.node && node.interest.contains(topic) {
                self.cluster.on_their_way.fetch_add(1, Ordering::SeqCst);
                node.to.send((topic.to_owned(), message.clone())).unwrap();
            }
        }
    }

    fn interest<'a>(
        &'a self,
        topic: &'a str,
        wanted: bool,
    ) -> RelayFuture<'a, Result<(), RelayError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_micros(100)).await;
            let interest = &mut self.cluster.nodes.lock().unwrap()[self.node].interest;
            let has_changed =
                if wanted { interest.insert(topic.to_owned()) } else { interest.remove(topic) };
            assert!(has_changed, "{topic} was {wanted} already");
            Ok(())
        })
    }
}

/// Runs it on these runtimes, with so many nodes, and checks what each member has heard.
fn check(runtimes: &[Runtime], nodes: usize) {
    let cluster = Arc::<Cluster>::default();
    let node = |number: usize| {
        let _enter = runtimes[number % runtimes.len()].enter();
        let builder = Topics::builder().options(options);
        match nodes {
            1 => builder.build(),
            _ => builder.relay(Carrier { cluster: cluster.clone(), node: number }).build(),
        }
    };
    let topics: Vec<_> = (0..nodes).map(node).collect();
    let nodes = Arc::new(Nodes { topics, cluster, is_published: AtomicBool::new(false) });
    let progress = Arc::<Progress>::default();
    let (mut publishing, mut members) = (Vec::new(), Vec::new());
    for number in 0..60 {
        let runtime = &runtimes[number % runtimes.len()];
        members.push(runtime.spawn(be_member(number as u64, nodes.clone(), progress.clone())));
    }
    for number in 0..PUBLISHERS {
        let runtime = &runtimes[number % runtimes.len()];
        publishing.push(runtime.spawn(publish(number, nodes.of(number).1, progress.clone())));
    }
    let main = Builder::new_current_thread().enable_all().build().unwrap();
    main.block_on(async {
        for publisher in publishing {
            publisher.await.unwrap();
        }
        nodes.is_published.store(true, Ordering::SeqCst);
        let mut heard = 0;
        for member in members {
            let (room, member) = member.await.unwrap();
            member.check(&now(&progress.done, room));
            heard += member.heard.len();
        }
        assert!(heard > PUBLISHERS * EACH, "{heard}");
        // The last delivery keeps its topic for a moment.
        while nodes.topics.iter().any(|topics| !topics.is_empty()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for topics in &nodes.topics {
            assert_eq!((topics.stats().members, topics.stats().skipped), (0, 0));
        }
        for node in nodes.cluster.nodes.lock().unwrap().iter() {
            assert!(node.interest.is_empty(), "{:?}", node.interest);
        }
    });
}

fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
}

#[test]
fn on_many_threads() {
    for _ in 0..3 {
        check(&[runtime(4)], 1);
    }
}

#[test]
fn on_one_thread() {
    check(&[runtime(1)], 1);
}

/// A runtime on each of several threads, as for a server on several cores.
#[test]
fn on_several_runtimes() {
    check(&[runtime(1), runtime(1), runtime(1)], 1);
}

#[test]
fn on_several_nodes() {
    check(&[runtime(4)], 3);
    check(&[runtime(1), runtime(1), runtime(1)], 3);
}

/// One member is slow, and is told each time what it has missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_a_slow_member_is_told_adds_up() {
    for slow in [WhenFull::Skip, WhenFull::KeepNewest(NonZeroUsize::new(7).unwrap())] {
        let options = move |_: &str| {
            let notice = |skipped| Message::text(format!("-{skipped}"));
            TopicOptions::default().when_full(slow).notice(notice).max_queued_bytes(3000)
        };
        let topics = Topics::builder().options(options).build();
        let topic = topics.topic("busy").unwrap();
        let mut all = JoinSet::new();
        let mut connections = Vec::new();
        for pause in [0, 0, 3, 10] {
            let (near, far) = tokio::io::duplex(500);
            let server = Config::server().keepalive(None::<Keepalive>).send_high_water_mark(300);
            let client = Config::client().keepalive(None::<Keepalive>);
            let connection = Connection::from_stream(near, Role::Server, &server, Bytes::new());
            topic.join(&connection).await.unwrap();
            connections.push(connection);
            all.spawn(async move {
                let mut client = Connection::from_stream(far, Role::Client, &client, Bytes::new());
                let (mut last, mut told, mut gaps) = (0_i64, 0, 0);
                while let Ok(Some(message)) = client.recv().await {
                    match message.as_text().unwrap().parse::<i64>().unwrap() {
                        skipped if skipped < 0 => told -= skipped,
                        number => {
                            gaps += number - last - 1;
                            assert_eq!(told, gaps, "told before {number}, after {last}");
                            last = number;
                        }
                    }
                    for _ in 0..pause {
                        yield_now().await;
                    }
                }
                (last, gaps)
            });
        }
        for number in 1..=3000 {
            topic.publish(format!("{number}")).await;
            if number % 10 == 0 {
                yield_now().await;
            }
        }
        for mut connection in connections {
            let _ = connection.close(CloseCode::NORMAL, "").await;
        }
        let mut gaps = 0;
        while let Some(done) = all.join_next().await {
            gaps += done.unwrap().1;
        }
        let stats = topic.stats();
        assert!(gaps > 0 && gaps <= i64::try_from(stats.skipped).unwrap(), "{gaps} {stats:?}");
    }
}
