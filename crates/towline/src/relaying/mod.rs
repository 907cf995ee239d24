//! Relays of one's own: what `towline-nats` and `towline-redis` are made of.
//!
//! A relay by another broker is an implementation of [`Broker`], which a [`Node`] makes a
//! [`Relay`](crate::topics::Relay) of. The node does all that does not depend on the broker, by parts that
//! can be used alone:
//!
//! - [`Mailbox`] is what node and broker share.
//! - [`Outbox`] is the bounded queue of messages on their way to the broker.
//! - [`Inbox`] is the bounded queue of messages on their way from the broker to the members.
//! - [`Envelope`] is how a message looks on a broker.
//! - [`Losses`] counts the messages that were lost, and reports them.

mod losses;

mod envelope;

mod waiters;

mod outbox;

mod inbox;

mod options;

mod mailbox;

mod node;

pub use envelope::{Envelope, InvalidEnvelope, NodeId};
pub use inbox::Inbox;
pub use losses::Losses;
pub use mailbox::Mailbox;
pub use node::{Broker, Node};
pub use options::{InterestTimeout, NodeOptions};
pub use outbox::{Outbox, PushError};
