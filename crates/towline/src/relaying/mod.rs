//! Parts for implementations of [`Relay`](crate::topics::Relay): what `towline-nats` and
//! `towline-redis` are made of.
//!
//! - [`Envelope`] is how a message looks on a broker.
//! - [`Outbox`] is the bounded queue of messages on their way to the broker.
//! - [`Inbox`] is the bounded queue of messages on their way from the broker to the members.
//! - [`Losses`] counts the messages that were lost, and reports them.

mod losses;

mod envelope;

mod outbox;

mod inbox;

pub use envelope::{Envelope, InvalidEnvelope, NodeId};
pub use inbox::Inbox;
pub use losses::Losses;
pub use outbox::{Outbox, PushError};
