//! Topics: subscribe and publish by the subprotocol `towline.topics.v1`.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use http::StatusCode;
use towline::topics::{Topic, TopicOptions, Topics, TopicsBuilder};
use towline::{Accept, Connection, Error, Message, Request};

use crate::exit;
use crate::quantity::counted;
use crate::say;
use crate::serve::modes::visit::{Done, Mode};
use crate::serve::tally::delivered;
use crate::topics::{self, Order, PROTOCOL, Verb};

/// State shared by all connections, on all threads.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) topics: Topics,
    /// The most topics that a connection can be subscribed to.
    pub(crate) max_subscriptions: NonZeroUsize,
    pub(crate) verbose: u8,
}

/// Topics that tell slow members what they have missed.
pub(crate) fn builder() -> TopicsBuilder {
    Topics::builder().options(|name| {
        let name = name.to_owned();
        TopicOptions::default()
            .notice(move |messages| Message::text(topics::skipped(&name, messages)))
    })
}

/// A connection, and what it has done.
struct Visit<'h> {
    hub: &'h Hub,
    connection: Connection,
    peer: &'h str,
    subscriptions: HashMap<String, Topic>,
    published: u64,
}

impl Mode for Hub {
    type Seat = ();

    async fn accept(&self, request: Request) -> Result<Option<(Connection, ())>, Error> {
        Ok(accept(request).await?.map(|connection| (connection, ())))
    }

    async fn attend(&self, connection: Connection, (): (), peer: &str) -> Done {
        let mut visit =
            Visit { hub: self, connection, peer, subscriptions: HashMap::new(), published: 0 };
        let error = visit.run().await.err();
        Done { what: format!("{} published", counted(visit.published, "message")), error }
    }

    fn summary(&self) -> String {
        let stats = self.topics.stats();
        let published = counted(stats.published, "message");
        format!("{published} published, {}", delivered(stats.delivered, stats.skipped))
    }
}

/// Accepts a client that offers the subprotocol. Without it, a client would not understand what it
/// gets, so it is told what to offer.
async fn accept(request: Request) -> Result<Option<Connection>, Error> {
    if request.choose_protocol([PROTOCOL]).is_some() {
        return request.accept_with(Accept::new().protocol(PROTOCOL)).await.map(Some);
    }
    let reason = match request.protocols() {
        [] => format!("offer the subprotocol {PROTOCOL}"),
        _ => format!("the only subprotocol here is {PROTOCOL}"),
    };
    request.reject(StatusCode::BAD_REQUEST, reason).await?;
    Ok(None)
}

impl Visit<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        while let Some(message) = self.connection.recv().await? {
            if let Some(answer) = self.answer(&message).await {
                // If sending fails, receiving returns how the connection ended.
                let _ = self.connection.send(answer).await;
            }
        }
        Ok(())
    }

    /// Does what a message asks for.
    async fn answer(&mut self, message: &Message) -> Option<String> {
        let Some(text) = message.as_text() else {
            let length = message.len();
            let why = format!("a binary message of {length} bytes: send JSON in text messages");
            self.log(|| format!("refused: {why}"));
            return Some(topics::Wrong { why, id: None }.answer());
        };
        let order = match Order::parse(text) {
            Ok(order) => order,
            Err(wrong) => {
                self.log(|| format!("refused: {}", wrong.why));
                return Some(wrong.answer());
            }
        };
        let done = match order.verb {
            Verb::Subscribe => self.subscribe(&order).await.map(Some),
            Verb::Unsubscribe => Ok(Some(self.unsubscribe(&order))),
            Verb::Publish => self.publish(&order).await,
        };
        done.unwrap_or_else(|why| {
            self.log(|| format!("refused: {why}"));
            Some(order.refuse(&why))
        })
    }

    async fn subscribe(&mut self, order: &Order<'_>) -> Result<String, String> {
        if let Some(known) = self.subscriptions.get(&order.topic) {
            return Ok(order.answer(Some(known.len())));
        }
        let limit = self.hub.max_subscriptions.get();
        if self.subscriptions.len() >= limit {
            let held = self.subscriptions.len();
            return Err(format!(
                "this connection is subscribed to {held} topics; the limit is {limit} \
                 (--max-subscriptions)"
            ));
        }
        let topic = self.topic(&order.topic)?;
        topic.join(&self.connection).await.map_err(in_words)?;
        self.log(|| format!("subscribed to {:?}", order.topic));
        let members = topic.len();
        self.subscriptions.insert(order.topic.clone(), topic);
        Ok(order.answer(Some(members)))
    }

    fn unsubscribe(&mut self, order: &Order<'_>) -> String {
        let Some(topic) = self.subscriptions.remove(&order.topic) else {
            let members = self.hub.topics.get(&order.topic).map_or(0, |topic| topic.len());
            return order.answer(Some(members));
        };
        topic.leave(&self.connection);
        self.log(|| format!("unsubscribed from {:?}", order.topic));
        order.answer(Some(topic.len()))
    }

    /// Publishing is answered only if there is an `id` to answer.
    async fn publish(&mut self, order: &Order<'_>) -> Result<Option<String>, String> {
        let message = Message::text(topics::delivery(&order.topic, order.data));
        match self.subscriptions.get(&order.topic) {
            Some(topic) => topic.publish(message).await,
            None => self.topic(&order.topic)?.publish(message).await,
        }
        self.published += 1;
        if self.hub.verbose > 1 {
            say::log(format_args!(
                "{} published {} B to {:?}",
                self.peer,
                order.data.len(),
                order.topic
            ));
        }
        Ok(order.id.map(|_| order.answer(None)))
    }

    fn topic(&self, name: &str) -> Result<Topic, String> {
        self.hub.topics.topic(name).map_err(in_words)
    }

    fn log(&self, line: impl FnOnce() -> String) {
        if self.hub.verbose > 0 {
            say::log(format_args!("{} {}", self.peer, line()));
        }
    }
}

fn in_words(error: Error) -> String {
    exit::in_options(error.to_string())
}
