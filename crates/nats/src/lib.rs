// The README's links lead to docs.rs. The first definition of a link counts, so here they lead to the
// items, and rustdoc checks them.
//! [Topics]: towline::topics
//! [`towline`]: towline
#![doc = include_str!("../README.md")]
//!
//! # Promises
//!
//! - Delivery between nodes is at most once. On one node, the broker has no part in it.
//! - What one node publishes to one topic arrives in that order.
//! - When [`Topic::join`](towline::topics::Topic::join) returns, the broker knows of the
//!   subscription: a message that another node publishes from then on arrives. In a cluster, this
//!   holds for the nodes on the same server; the servers tell each other a moment later.
//! - When the broker is lost, [`Topics::events`](towline::topics::Topics::events) says so, and
//!   members on one node still reach each other. Messages that are published then do not reach other
//!   nodes, and are counted as lost. The client connects again and subscribes again; when the broker
//!   has confirmed that, an event says so.
//! - Nobody waits for a broker that takes nothing, and memory stays bounded:
//!   [`max_outbox_bytes`](Builder::max_outbox_bytes), [`max_inbox_bytes`](Builder::max_inbox_bytes).
//!
//! Messages that were on their way when a connection broke are lost, too. Nobody can count them.
//!
//! # On the broker
//!
//! A topic is the subject `towline.` and its name, in which white space, control characters,
//! non-ASCII characters, dots, `*`, `>` and `%` are `%` and two hexadecimal digits for each byte:
//! `room/7` is `towline.room/7`, and `a.b` is `towline.a%2Eb`. The
//! [prefix](Builder::prefix) is an option.
//!
//! Nodes publish [envelopes](towline::relaying::Envelope): 12 bytes and the payload. Other programs
//! can publish the payload alone: `nats pub towline.room/7 "ship ahoy"` reaches all members as text.
//! A message of more bytes than the broker's `max_payload` (1 MiB by default), envelope included, is
//! not sent and counted as lost.
//!
//! A broker with permissions has to let nodes publish and subscribe to `towline.>` and to their
//! inboxes, `_INBOX.>`.
//!
//! # TLS
//!
//! Without features, connections are plain. The feature `tls` makes `tls://` work, with `ring`, and
//! [`Builder::connect_options`] has its settings.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;

mod subject;

mod events;

mod barrier;

mod link;

mod core;

mod relay;

mod builder;

pub use async_nats;

pub use builder::Builder;
pub use error::Error;
pub use relay::NatsRelay;
