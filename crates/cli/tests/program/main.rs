//! The program itself, against itself and against peers that misbehave.

// Clippy takes only the test functions themselves for tests.
#![allow(clippy::unwrap_used)]

mod support;

mod serve;

mod topics;

mod metrics;

mod connect;

mod bench;

mod reconnect;

mod flawed;

mod certificates;

mod tls;

mod proxies;

mod check;
