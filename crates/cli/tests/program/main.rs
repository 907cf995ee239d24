//! The program itself, against itself and against peers that misbehave.

// Clippy takes only the test functions themselves for tests.
#![allow(clippy::unwrap_used)]

mod support;

mod serve;

mod modes;

#[cfg(unix)]
mod exec;

mod backends;

mod files;

mod live;

mod token;

mod topics;

#[cfg(all(unix, any(feature = "nats", feature = "redis")))]
mod relays;

mod metrics;

#[cfg(unix)]
mod unread;

#[cfg(unix)]
mod descriptors;

mod connect;

mod bench;

mod reconnect;

mod flawed;

mod certificates;

mod tls;

mod proxies;

mod recordings;

mod scripts;

mod packaging;

#[cfg(unix)]
mod help;

#[cfg(unix)]
mod screen;

mod check;

mod distance;

#[cfg(unix)]
mod terminal;
