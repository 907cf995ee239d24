//! `--subscribe` and `--publish`: the conversation in the subprotocol of topics.

use std::sync::Arc;

use towline::{Connection, Message};

use crate::topics::{self, PROTOCOL};

/// What to subscribe to, and where to publish. Without either, messages are sent as they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topical {
    is_on: bool,
    /// The messages that subscribe, sent at the beginning of each connection.
    subscriptions: Arc<[Message]>,
    publish: Option<Arc<str>>,
}

impl Topical {
    pub(crate) fn new(subscribe: &[String], publish: Option<&str>) -> Self {
        Self {
            is_on: !subscribe.is_empty() || publish.is_some(),
            subscriptions: subscribe.iter().map(|topic| topics::subscribe(topic).into()).collect(),
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

    pub(crate) fn subscriptions(&self) -> &[Message] {
        &self.subscriptions
    }

    /// The message for a line of input.
    pub(crate) fn message(&self, text: String) -> Message {
        match &self.publish {
            Some(topic) => Message::text(topics::publish(topic, &text)),
            None => Message::text(text),
        }
    }
}
