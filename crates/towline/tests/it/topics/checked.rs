//! Order, once and completeness, by a checker, while connections join, leave and close and calls
//! are dropped, on many threads.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, yield_now};
use towline::topics::{TopicOptions, Topics};
use towline::{CloseCode, Config, Connection, Keepalive, Role};

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
            assert!(number > self.before[publisher], "published before it joined");
            if let Some(left) = &self.left {
                assert!(number <= left[publisher], "published after it left");
            }
            let next = last.get(&publisher).map(|last| last + 1);
            assert_eq!(next.unwrap_or(number), number, "of {publisher}");
            assert!(next.is_some() || number <= self.joined[publisher] + 1, "it missed the first");
            last.insert(publisher, number);
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
async fn be_member(number: u64, topics: Topics, progress: Arc<Progress>) -> (usize, Member) {
    let mut chance = Chance(0x1234_5678 + number);
    let room = usize::try_from(number % ROOMS as u64).unwrap();
    for _ in 0..chance.below(200) {
        yield_now().await;
    }
    let (connection, client) = pair();
    let listening = tokio::spawn(listen(client));
    let topic = topics.topic(format!("{room}")).unwrap();
    let before = now(&progress.done, room);
    topic.join(&connection).await.unwrap();
    let joined = now(&progress.begun, room);
    let way = number % 4;
    let (mut left, stays) = (None, way == 0);
    if stays {
        let all = || (0..PUBLISHERS).all(|it| progress.done[it][room].load(Ordering::SeqCst) > 0);
        let is_done = |topics: &Topics| all() && topics.get("done").is_some();
        while !is_done(&topics) {
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
    (room, Member { before, joined, left, stays, heard })
}

fn options(_: &str) -> TopicOptions {
    TopicOptions::default().max_queued_bytes(5000)
}

/// Runs it on these runtimes, and checks what each member has heard.
fn check(runtimes: &[Runtime]) {
    let topics = Topics::builder().options(options).build();
    let progress = Arc::<Progress>::default();
    let kept: Vec<_> = (0..ROOMS).map(|room| topics.topic(format!("{room}")).unwrap()).collect();
    let (mut publishing, mut members) = (Vec::new(), Vec::new());
    for number in 0..60 {
        let runtime = &runtimes[number % runtimes.len()];
        let number = number as u64;
        members.push(runtime.spawn(be_member(number, topics.clone(), progress.clone())));
    }
    for publisher in 0..PUBLISHERS {
        let runtime = &runtimes[publisher % runtimes.len()];
        publishing.push(runtime.spawn(publish(publisher, topics.clone(), progress.clone())));
    }
    let main = Builder::new_current_thread().enable_all().build().unwrap();
    main.block_on(async {
        for publisher in publishing {
            publisher.await.unwrap();
        }
        let done = topics.topic("done").unwrap();
        let mut heard = 0;
        for member in members {
            let (room, member) = member.await.unwrap();
            member.check(&now(&progress.done, room));
            heard += member.heard.len();
        }
        assert!(heard > PUBLISHERS * EACH, "{heard}");
        drop((done, kept));
        // The last delivery keeps its topic for a moment.
        while !topics.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(topics.stats().members, 0);
        assert_eq!(topics.stats().skipped, 0);
    });
}

#[test]
fn on_many_threads() {
    for _ in 0..3 {
        check(&[Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()]);
    }
}

#[test]
fn on_one_thread() {
    check(&[Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()]);
}

/// A runtime on each of several threads, as for a server on several cores.
#[test]
fn on_several_runtimes() {
    let runtime = || Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    check(&[runtime(), runtime(), runtime()]);
}

/// One member is slow, and is told each time what it has missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_a_slow_member_is_told_adds_up() {
    use std::num::NonZeroUsize;
    use towline::Message;
    use towline::topics::SlowMember;

    for slow in [SlowMember::Skip, SlowMember::KeepNewest(NonZeroUsize::new(7).unwrap())] {
        let options = move |_: &str| {
            let notice = |skipped| Message::text(format!("-{skipped}"));
            TopicOptions::default().slow(slow).notice(notice).max_queued_bytes(3000)
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
