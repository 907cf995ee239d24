//! Behaviour tests, by topic. Time is virtual, transports are in memory where that will do.
//!
//! The first topics are the promises, one by one.

#![allow(clippy::unwrap_used, missing_docs)]

mod borrowed;
mod identical_on_both_ends;

mod cancel_safe;

mod many_senders;

mod nothing_stuck;

mod pushing;

mod backpressure;

mod broadcast;

mod broadcast_to_slow;

mod topics;

mod relay_node;

mod relay_room;

mod relaying;

#[cfg(feature = "deflate")]
mod compressed;

#[cfg(feature = "deflate")]
mod fair_to_echoes;

mod waiting;

mod quotas;

mod buffered;

mod too_fast;

mod shared_quotas;

mod to_the_byte;

mod byte_stream;

mod message_reader;

mod message_writer;

mod in_line;

#[cfg(feature = "deflate")]
mod accept_options;
mod alive_or_gone;

mod busy;

mod busy_program;

mod send_timeout;

mod a_close_completes;

mod panics;

mod how_receiving_ends;

mod nothing_thrown_away;
#[cfg(target_os = "linux")]
mod nothing_thrown_away_by_tcp;

mod closing_a_sink;

mod fair;

mod panicking_streams;

mod fair_to_senders;

mod peer_input_never_panics;

mod safe_by_default;

mod server;

mod hand_over;

mod own_data;

mod mounting;

mod without_a_queue;

mod send_and_sync;

mod client;

mod urls;

mod spawned;

mod dialling;

mod dial;

mod proxies;

mod socks;

mod redirects;
mod refused_handshakes;

mod failed_handshakes;

mod connect_request;

mod nothing_secret;

mod reconnecting;

mod stats;

mod round_trip;

mod spans;

#[cfg(not(feature = "rustls"))]
mod no_tls;

mod echo;

mod choppy;
mod endless;
mod ends;
mod http;
mod loopback;
mod support;
mod wire;
