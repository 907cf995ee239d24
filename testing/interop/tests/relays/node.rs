//! Nodes, and members that remember what they hear.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use towline::bytes::Bytes;
use towline::topics::{TopicOptions, Topics, TopicsBuilder, TopicsEvent, TopicsEvents};
use towline::{Config, Connection, Keepalive, Message, Role, WhenFull};
use towline_kit::brokers::{Server, Start};

use crate::bounded::{LOOK, soon};

/// A broker, and the relay to it.
pub(crate) trait Broker {
    const NAME: &str;
    const START: Start;

    /// Returns the topics of a new node.
    async fn topics(builder: TopicsBuilder, settings: &Settings, server: &Server) -> Topics {
        let url = format!("{}://{}", Self::NAME, server.address);
        Self::topics_at(builder, settings, &url).await
    }

    async fn topics_at(builder: TopicsBuilder, settings: &Settings, url: &str) -> Topics;
}

/// The options of a relay.
pub(crate) struct Settings {
    pub(crate) interest_timeout: Duration,
    pub(crate) max_outbox_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { interest_timeout: Duration::from_secs(20), max_outbox_bytes: 8 << 20 }
    }
}

pub(crate) struct Node {
    pub(crate) topics: Topics,
    pub(crate) events: TopicsEvents,
}

impl Node {
    pub(crate) async fn new<B: Broker>(server: &Server) -> Self {
        Self::with::<B>(server, Settings::default()).await
    }

    pub(crate) async fn with<B: Broker>(server: &Server, settings: Settings) -> Self {
        // Nothing is skipped: a member that is slow loses its connection, and the test fails.
        let options = |_: &str| TopicOptions::default().when_full(WhenFull::Close);
        let builder = Topics::builder().options(options);
        let topics = soon("connecting", B::topics(builder, &settings, server)).await;
        let events = topics.events();
        Self { topics, events }
    }

    pub(crate) async fn publish(&self, topic: &str, message: impl Into<Message>) {
        let topic = self.topics.topic(topic).unwrap();
        soon("publishing", topic.publish(message.into())).await;
    }

    /// Waits for an event, past others. Returns how many messages were lost before it.
    pub(crate) async fn wait_for(&mut self, wanted: impl Fn(&TopicsEvent) -> bool) -> u64 {
        let mut lost = 0;
        loop {
            let event = soon("an event", self.events.next()).await.unwrap();
            if let TopicsEvent::MessagesLost { messages } = event {
                lost += messages;
            }
            if wanted(&event) {
                return lost;
            }
        }
    }

    pub(crate) async fn wait_until_lost(&mut self) -> u64 {
        self.wait_for(|event| matches!(event, TopicsEvent::RelayLost { .. })).await
    }

    pub(crate) async fn wait_until_back(&mut self) -> u64 {
        self.wait_for(|event| *event == TopicsEvent::RelayBack).await
    }
}

/// A connection to a node, whose peer remembers what it hears.
pub(crate) struct Member {
    pub(crate) connection: Connection,
    heard: Arc<Mutex<Vec<Message>>>,
    peer: JoinHandle<()>,
}

impl Member {
    pub(crate) fn new() -> Self {
        let (at_server, at_client) = tokio::io::duplex(64 << 10);
        let config = Config::server().keepalive(None::<Keepalive>).send_high_water_mark(64 << 20);
        let connection = Connection::from_stream(at_server, Role::Server, &config, Bytes::new());
        let config = Config::client().keepalive(None::<Keepalive>);
        let mut client = Connection::from_stream(at_client, Role::Client, &config, Bytes::new());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = heard.clone();
        let peer = tokio::spawn(async move {
            while let Ok(Some(message)) = client.recv().await {
                hearing.lock().unwrap().push(message);
            }
        });
        Self { connection, heard, peer }
    }

    pub(crate) async fn of(node: &Node, topic: &str) -> Self {
        let member = Self::new();
        member.join(node, topic).await;
        member
    }

    pub(crate) async fn join(&self, node: &Node, topic: &str) {
        let topic = node.topics.topic(topic).unwrap();
        soon("joining", topic.join(&self.connection)).await.unwrap();
    }

    pub(crate) fn leave(&self, node: &Node, topic: &str) {
        assert!(node.topics.get(topic).unwrap().leave(&self.connection));
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.heard.lock().unwrap().clone()
    }

    /// What it has heard, each of which is text.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.messages().iter().map(|message| message.as_text().unwrap().to_owned()).collect()
    }

    /// The numbers of the messages that a publisher has numbered.
    pub(crate) fn numbers(&self, publisher: &str) -> Vec<u64> {
        let number = |text: String| {
            let (by, number) = text.split_once(' ')?;
            (by == publisher).then(|| number.parse().unwrap())
        };
        self.heard().into_iter().filter_map(number).collect()
    }

    /// Waits until it has heard so many messages.
    pub(crate) async fn wait_for(&self, count: usize) {
        let waiting = async {
            while self.heard.lock().unwrap().len() < count {
                tokio::time::sleep(LOOK).await;
            }
        };
        let what = format!("{count} messages");
        soon(&what, waiting).await;
    }

    /// Waits until it has heard this text.
    pub(crate) async fn wait_for_text(&self, text: &str) {
        let is_it = |message: &Message| message.as_text() == Some(text);
        let waiting = async {
            while !self.heard.lock().unwrap().iter().rev().any(is_it) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let what = format!("{text:?} after {} messages", self.heard.lock().unwrap().len());
        soon(&what, waiting).await;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.peer.abort();
    }
}

/// Asserts that the numbers grow by one, and returns the first and the last.
pub(crate) fn contiguous(numbers: &[u64]) -> Option<(u64, u64)> {
    for pair in numbers.windows(2) {
        assert_eq!(pair[1], pair[0] + 1, "a message is lost, is there twice, or out of order");
    }
    Some((*numbers.first()?, *numbers.last()?))
}
