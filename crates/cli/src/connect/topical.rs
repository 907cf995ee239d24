//! `--init`, `--subscribe` and `--publish`: how each connection begins, and the conversation in the
//! subprotocol of topics.

use std::sync::Arc;

use towline::{Connection, Message};

use crate::topics::{self, PROTOCOL};

/// What to send first and to subscribe to, and where to publish. Without --publish, messages are sent as
/// they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topical {
    is_on: bool,
    /// The messages sent at the beginning of each connection.
    first: Arc<[Message]>,
    publish: Option<Arc<str>>,
}

impl Topical {
    /// Begins each connection with these messages, and then with the subscriptions.
    pub(crate) fn new(first: Vec<Message>, subscribe: &[String], publish: Option<&str>) -> Self {
        let subscriptions = subscribe.iter().map(|topic| topics::subscribe(topic).into());
        Self {
            is_on: !subscribe.is_empty() || publish.is_some(),
            first: first.into_iter().chain(subscriptions).collect(),
            publish: publish.map(Into::into),
        }
    }

    /// Whether the conversation is in the subprotocol.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether the server speaks the subprotocol, or does not have to.
    pub(crate) fn is_understood(&self, connection: &Connection) -> bool {
        !self.is_on || connection.protocol().is_some_and(|name| *name == *PROTOCOL)
    }

    /// The messages with which each connection begins.
    pub(crate) fn first(&self) -> &[Message] {
        &self.first
    }

    /// The message for a line of input.
    pub(crate) fn message(&self, text: String) -> Message {
        match &self.publish {
            Some(topic) => Message::text(topics::publish(topic, &text)),
            None => Message::text(text),
        }
    }
}
