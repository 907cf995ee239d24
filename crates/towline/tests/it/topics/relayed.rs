//! Topics over several nodes, with a relay that delays and fails as the test likes.

use std::sync::{Arc, Mutex, OnceLock};

use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use towline::topics::{
    Incoming, Relay, RelayError, RelayFuture, TopicOptions, Topics, TopicsEvent,
};
use towline::{Compress, ErrorKind, Message, Outgoing};

use crate::topics::{connection, member, texts, topic};
use crate::wire::settle;

/// What the relay and the test share.
struct Fake {
    incoming: OnceLock<Incoming>,
    published: Mutex<Vec<(String, Message, Compress)>>,
    /// The calls of `interest` that began, and those that are done.
    begun: Mutex<Vec<bool>>,
    done: Mutex<Vec<bool>>,
    /// Each call takes a permit to be done.
    permits: Semaphore,
    fails: Mutex<bool>,
    /// Publishing panics.
    panics: Mutex<bool>,
    /// Publishing takes a permit, if that is so.
    room: Option<Semaphore>,
}

struct Node(Arc<Fake>);

impl Relay for Node {
    fn start(&self, incoming: Incoming) {
        self.0.incoming.set(incoming).unwrap();
    }

    fn publish(&self, topic: &str, message: Outgoing<'_>) {
        let panics = *self.0.panics.lock().unwrap();
        assert!(!panics, "a relay with a fault");
        let (message, compress) = message.into_parts();
        self.0.published.lock().unwrap().push((topic.to_owned(), message, compress));
    }

    fn room(&self) -> Option<RelayFuture<'_, ()>> {
        let room = self.0.room.as_ref()?;
        Some(Box::pin(async { room.acquire().await.unwrap().forget() }))
    }

    fn interest<'a>(
        &'a self,
        topic: &'a str,
        wanted: bool,
    ) -> RelayFuture<'a, Result<(), RelayError>> {
        assert_eq!(topic, "room/7");
        self.0.begun.lock().unwrap().push(wanted);
        Box::pin(async move {
            self.0.permits.acquire().await.unwrap().forget();
            let fails = *self.0.fails.lock().unwrap();
            if fails {
                return Err("no broker".into());
            }
            self.0.done.lock().unwrap().push(wanted);
            Ok(())
        })
    }
}

impl Fake {
    fn new(permits: usize) -> Arc<Self> {
        Self::with_room(permits, None)
    }

    fn with_room(permits: usize, room: Option<Semaphore>) -> Arc<Self> {
        Arc::new(Self {
            incoming: OnceLock::new(),
            published: Mutex::default(),
            begun: Mutex::default(),
            done: Mutex::default(),
            permits: Semaphore::new(permits),
            fails: Mutex::new(false),
            panics: Mutex::new(false),
            room,
        })
    }

    fn topics(self: &Arc<Self>) -> Topics {
        Topics::builder().relay(Node(self.clone())).build()
    }

    fn incoming(&self) -> &Incoming {
        self.incoming.get().unwrap()
    }

    fn begun(&self) -> Vec<bool> {
        self.begun.lock().unwrap().clone()
    }

    fn done(&self) -> Vec<bool> {
        self.done.lock().unwrap().clone()
    }
}

const MANY: usize = 1000;

#[tokio::test(start_paused = true)]
async fn a_join_returns_when_the_interest_stands_and_asks_once() {
    let fake = Fake::new(0);
    let topics = fake.topics();
    let topic = topic(&topics);
    let ((first, at_first), (second, _far)) = (connection(), connection());
    let mut joining = Box::pin(topic.join(&first));
    let mut other = Box::pin(topic.join(&second));
    assert!(joining.as_mut().now_or_never().is_none());
    assert!(other.as_mut().now_or_never().is_none());
    settle().await;
    assert!(joining.as_mut().now_or_never().is_none());
    assert_eq!((topic.len(), fake.begun()), (0, vec![true]));
    fake.permits.add_permits(1);
    assert!(joining.await.unwrap());
    assert!(other.await.unwrap());
    assert_eq!((topic.len(), fake.done()), (2, vec![true]));
    fake.incoming().deliver("room/7", "from elsewhere").await;
    fake.incoming().deliver("room/8", "for nobody").await;
    assert_eq!(texts(&at_first).await, ["from elsewhere"]);
    assert_eq!((topic.stats().relayed, topic.stats().published), (1, 0));
    // The last to leave ends it, and only that one.
    drop(first);
    settle().await;
    assert_eq!(fake.begun(), [true]);
    topic.leave(&second);
    settle().await;
    assert_eq!(fake.begun(), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_comes_while_the_interest_ends_waits_for_the_next() {
    let fake = Fake::new(1);
    let topics = fake.topics();
    let (first, _far) = member(&topic(&topics)).await;
    drop(first);
    settle().await;
    assert_eq!((fake.begun(), topics.len()), (vec![true, false], 1));
    let (second, at_second) = connection();
    let topic = topic(&topics);
    let mut joining = Box::pin(topic.join(&second));
    assert!(joining.as_mut().now_or_never().is_none());
    settle().await;
    assert_eq!(fake.begun(), [true, false], "never two at once");
    fake.permits.add_permits(1);
    settle().await;
    assert_eq!(fake.begun(), [true, false, true]);
    assert!(joining.as_mut().now_or_never().is_none());
    fake.permits.add_permits(1);
    assert!(joining.await.unwrap());
    assert_eq!(fake.done(), [true, false, true]);
    fake.incoming().deliver("room/7", "news").await;
    assert_eq!(texts(&at_second).await, ["news"]);
}

#[tokio::test(start_paused = true)]
async fn a_join_fails_if_the_interest_does() {
    let fake = Fake::new(MANY);
    *fake.fails.lock().unwrap() = true;
    let topics = fake.topics();
    let topic = topic(&topics);
    let (connection, far) = connection();
    let error = topic.join(&connection).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Relay);
    assert!(error.to_string().contains("room/7") && error.to_string().contains("no broker"));
    assert_eq!((topic.len(), topic.contains(&connection)), (0, false));
    topic.publish("to nobody here").await;
    assert!(texts(&far).await.is_empty());
    // The next one asks again.
    *fake.fails.lock().unwrap() = false;
    assert!(topic.join(&connection).await.unwrap());
    assert_eq!(fake.begun(), [true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_dropped_leaves_no_interest() {
    let fake = Fake::new(0);
    let topics = fake.topics();
    let (connection, _far) = connection();
    // Dropped before anything has begun.
    assert!(topic(&topics).join(&connection).now_or_never().is_none());
    settle().await;
    assert!(fake.begun().is_empty() && topics.is_empty());
    // What has begun is not dropped with it.
    let mut joining = Box::pin(topic(&topics).join(&connection));
    assert!(joining.as_mut().now_or_never().is_none());
    settle().await;
    drop(joining);
    settle().await;
    assert_eq!(fake.begun(), [true]);
    fake.permits.add_permits(MANY);
    settle().await;
    assert_eq!(fake.done(), [true, false]);
    assert!(topics.is_empty());
    assert!(topic(&topics).join(&connection).await.unwrap());
    assert_eq!(fake.done(), [true, false, true]);
    // Gone while the join waits.
    let (gone, _far) = super::connection();
    let topic = topic(&topics);
    topic.leave(&connection);
    settle().await;
    let mut joining = Box::pin(topic.join(&gone));
    assert!(joining.as_mut().now_or_never().is_none());
    drop(gone);
    assert_eq!(joining.await.unwrap_err().kind(), ErrorKind::Closed);
    drop(topic);
    settle().await;
    assert_eq!(fake.done().last(), Some(&false));
    assert!(topics.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_published_goes_to_the_relay_once_and_in_order() {
    let fake = Fake::new(MANY);
    let topics = fake.topics();
    let topic = topic(&topics);
    let (author, far) = member(&topic).await;
    topic.publish("one").await;
    topic.publish(vec![2]).await;
    topic.publish(Outgoing::from("three").compress(Compress::Never)).await;
    topic.publish_except(&author, "four").await;
    settle().await;
    let heard: Vec<_> = far.hears().into_iter().map(|heard| heard.payload).collect();
    assert_eq!(heard, [&b"one"[..], &[2], b"three"]);
    let published = std::mem::take(&mut *fake.published.lock().unwrap());
    let expected = [
        (Message::text("one"), Compress::Auto),
        (Message::binary(vec![2]), Compress::Auto),
        (Message::text("three"), Compress::Never),
        (Message::text("four"), Compress::Auto),
    ];
    let expected = expected.map(|(message, compress)| ("room/7".to_owned(), message, compress));
    assert_eq!(published, expected);
    // Without members here, it goes elsewhere.
    topic.leave(&author);
    topic.publish("five").await;
    assert_eq!(fake.published.lock().unwrap().len(), 1);
}

/// Room in the relay is waited for, but the message is on its way before that.
#[tokio::test(start_paused = true)]
async fn a_publisher_waits_for_room_in_the_relay() {
    let fake = Fake::with_room(MANY, Some(Semaphore::new(1)));
    let topics = fake.topics();
    let topic = topic(&topics);
    let (_member, far) = member(&topic).await;
    topic.publish("one").now_or_never().unwrap();
    let mut waits = Box::pin(topic.publish("two"));
    assert!(waits.as_mut().now_or_never().is_none());
    assert_eq!(texts(&far).await, ["one", "two"]);
    assert!(waits.as_mut().now_or_never().is_none());
    fake.room.as_ref().unwrap().add_permits(1);
    waits.await;
    // One that is dropped while it waits is published.
    assert!(topic.publish("three").now_or_never().is_none());
    assert_eq!(texts(&far).await, ["three"]);
    let published = fake.published.lock().unwrap();
    let published: Vec<_> = published.iter().map(|(_, message, _)| message.as_text()).collect();
    assert_eq!(published, [Some("one"), Some("two"), Some("three")]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_relay_panics_about_is_reported_as_lost() {
    let fake = Fake::new(MANY);
    let topics = fake.topics();
    let mut events = topics.events();
    let topic = topic(&topics);
    let (_member, far) = member(&topic).await;
    *fake.panics.lock().unwrap() = true;
    topic.publish("here only").await;
    assert_eq!(texts(&far).await, ["here only"]);
    assert_eq!(events.next().await, Some(TopicsEvent::MessagesLost { messages: 1 }));
}

#[tokio::test(start_paused = true)]
async fn what_arrives_waits_while_the_topic_is_full_and_is_delivered_in_order() {
    let fake = Fake::new(MANY);
    let options = |_: &str| TopicOptions::default().max_queued_bytes(1000);
    let topics = Topics::builder().options(options).relay(Node(fake.clone())).build();
    let (_member, far) = member(&topic(&topics)).await;
    let texts = |range: std::ops::Range<usize>| range.map(|number| number.to_string());
    let mut full = false;
    for text in texts(0..100) {
        let mut arriving = Box::pin(fake.incoming().deliver("room/7", text));
        full |= arriving.as_mut().now_or_never().is_none() && {
            arriving.await;
            true
        };
    }
    assert!(full);
    assert_eq!(super::texts(&far).await, texts(0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_the_relay_is_reported() {
    let fake = Fake::new(MANY);
    let topics = fake.topics();
    let incoming = fake.incoming().clone();
    incoming.lost("before anybody asked");
    let mut events = topics.events();
    incoming.lost("broken pipe");
    incoming.messages_lost(7);
    incoming.back();
    assert_eq!(events.next().await, Some(TopicsEvent::RelayLost { reason: "broken pipe".into() }));
    assert_eq!(events.next().await, Some(TopicsEvent::MessagesLost { messages: 7 }));
    assert_eq!(events.next().await, Some(TopicsEvent::RelayBack));
    for _ in 0..300 {
        incoming.back();
    }
    assert_eq!(events.next().await, Some(TopicsEvent::Missed(300 - 256)));
    // The relay does not keep the topics, and they keep it.
    let weak = Arc::downgrade(&fake);
    drop((fake, topics));
    assert!(incoming.is_over() && weak.strong_count() == 0);
    incoming.deliver("room/7", "too late").await;
    while events.next().await.is_some() {}
}
