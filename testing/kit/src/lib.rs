//! Test utilities shared by Towline's crates.
//!
//! - [`frame`](frame::frame) builds the bytes of any frame, valid or not.
//! - [`Heard`] is a frame parsed from bytes on the wire, for assertions.
//! - [`http2`] builds and parses the frames of HTTP/2. With the feature `http2`, `http2_io` sends and receives
//!   them, and turns a stream of h2 into one of bytes.
//! - [`event`] has short constructors of received events, to compare with.
//! - [`negotiate`](negotiate::negotiate) returns the compression that a handshake negotiates.
//! - [`Peer`] is a mock peer: it sends raw bytes to one connection and reads the answer.
//! - [`Pair`] is both ends of a connection, on a simulated transport and virtual time.
//! - [`subscribe`] sets a subscriber of `tracing` for one test beside others.
//! - With the feature `relay`, `relay` has a relay of topics without a broker.
//! - With the feature `programs`, `nginx` and `brokers` start those on free ports, and `programs` any other server.
//!
//! Tests neither sleep nor measure durations. Time is a value, and only [`start`] reads the clock. The exception is
//! what waits for other programs.

pub mod clock;

pub mod event;

pub mod frame;

pub mod heard;

pub mod http2;

#[cfg(feature = "http2")]
pub mod http2_io;

pub mod negotiate;

pub mod peer;

pub mod pair;

pub mod subscriber;

#[cfg(feature = "relay")]
pub mod relay;

#[cfg(feature = "programs")]
pub mod programs;

#[cfg(feature = "programs")]
pub mod nginx;

#[cfg(feature = "programs")]
pub mod brokers;

pub use clock::start;
pub use event::Event;
pub use frame::{FrameBytes, frame, join};
pub use heard::{Heard, hear};
pub use negotiate::negotiate;
pub use pair::Pair;
pub use peer::Peer;
pub use subscriber::{Subscribed, subscribe};
