// The README's links lead to docs.rs. The first definition of a link counts, so here they lead to the
// items, and rustdoc checks them.
//! [Topics]: towline::topics
//! [`towline`]: towline
#![doc = include_str!("../README.md")]
//!
//! # Promises
//!
//! - Delivery between nodes is at most once: Redis's pub/sub keeps nothing. On one node, the broker
//!   has no part in it.
//! - What one node publishes to one topic arrives in that order.
//! - When [`Topic::join`](towline::topics::Topic::join) returns, the broker has confirmed the
//!   subscription: a message that another node publishes from then on arrives.
//! - When the broker is lost, [`Topics::events`](towline::topics::Topics::events) says so, and
//!   members on one node still reach each other. Messages that are published then do not reach other
//!   nodes, and are counted as lost. The relay connects again and subscribes again; when the broker
//!   has confirmed that, an event says so. Another names each topic that the broker refuses, since the
//!   user has lost the right to it.
//! - Nobody waits for a broker that takes nothing, and memory stays bounded:
//!   [`max_outbox_bytes`](Builder::max_outbox_bytes), [`max_inbox_bytes`](Builder::max_inbox_bytes).
//!
//! Messages that the broker had not confirmed when a connection broke are counted as lost, although
//! some may have arrived. Messages that it was about to send to this node are lost, and nobody can
//! count them.
//!
//! The broker closes the connection of a node that reads too slowly (`client-output-buffer-limit
//! pubsub`). The relay reads at once, whatever members do, so only a node whose processor is
//! overloaded sees that: as a broker that is lost and comes back.
//!
//! # On the broker
//!
//! A topic is the channel `towline.` and its name: `room/7` is `towline.room/7`. The
//! [prefix](Builder::prefix) is an option. Channels belong to no database.
//!
//! Nodes publish [envelopes](towline::relaying::Envelope): 12 bytes and the payload. Other programs
//! can publish the payload alone: `redis-cli publish towline.room/7 "ship ahoy"` reaches all members
//! as text.
//!
//! A broker with an ACL has to let nodes do `SUBSCRIBE`, `UNSUBSCRIBE`, `PUBLISH` and `PING`, on
//! channels `towline.*`.
//!
//! # TLS
//!
//! Without features, connections are plain. The feature `tls` makes `rediss://` work, with `ring` and
//! the system's certificates.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;

mod session;

mod core;

mod running;

mod relay;

mod builder;

pub use redis;

pub use builder::Builder;
pub use error::Error;
pub use relay::RedisRelay;
