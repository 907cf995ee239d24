//! Connections over TLS.
#![allow(clippy::unwrap_used)]

mod certificates;
mod ends;
mod peer;
mod wire;

mod by_proxy;

mod dial;

mod echo;

mod nonsense;

mod every_split;

mod tampered;

mod trust;

mod client_certificates;

mod reloading;

mod files;

mod strangers;

mod closing;

mod slow;

mod quotas;

mod reconnecting;

// Tests of the promises, over TLS: what they name `crate::wire`, `crate::ends` is the one here.
#[path = "../it/cancel_safe.rs"]
mod cancel_safe;

#[path = "../it/many_senders.rs"]
mod many_senders;

#[path = "../it/nothing_stuck.rs"]
mod nothing_stuck;

#[path = "../it/pushing.rs"]
mod pushing;

#[path = "../it/backpressure.rs"]
mod backpressure;

#[path = "../it/waiting.rs"]
mod waiting;

#[path = "../it/in_line.rs"]
mod in_line;

#[path = "../it/alive_or_gone.rs"]
mod alive_or_gone;

#[path = "../it/busy.rs"]
mod busy;

#[path = "../it/busy_program.rs"]
mod busy_program;

#[path = "../it/send_timeout.rs"]
mod send_timeout;

#[path = "../it/a_close_completes.rs"]
mod a_close_completes;

#[path = "../it/panics.rs"]
mod panics;

#[path = "../it/how_receiving_ends.rs"]
mod how_receiving_ends;

#[path = "../it/nothing_thrown_away.rs"]
mod nothing_thrown_away;

#[path = "../it/closing_a_sink.rs"]
mod closing_a_sink;

#[path = "../it/panicking_streams.rs"]
mod panicking_streams;

#[path = "../it/peer_input_never_panics.rs"]
mod peer_input_never_panics;

#[path = "../it/identical_on_both_ends.rs"]
mod identical_on_both_ends;

#[path = "../it/byte_stream.rs"]
mod byte_stream;

#[path = "../it/message_reader.rs"]
mod message_reader;

#[path = "../it/message_writer.rs"]
mod message_writer;

#[allow(dead_code)]
#[path = "../it/choppy.rs"]
mod choppy;
#[allow(dead_code)]
#[path = "../it/endless.rs"]
mod endless;
#[allow(dead_code)]
#[path = "../it/http.rs"]
mod http;
#[allow(dead_code)]
#[path = "../it/wire.rs"]
mod plain_wire;
#[allow(dead_code)]
#[path = "../it/support.rs"]
mod support;
