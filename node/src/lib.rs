//! The native half of the npm package `towline`: [`towline_proto`] for JavaScript.
//!
//! JavaScript owns the sockets and the events, Rust all of the protocol. They meet once for each
//! chunk of input and once for each batch of output:
//!
//! ```text
//!  socket ─ chunk ─▶ receive ─▶ events: kind, offset, length ─▶ emit ─▶ program
//!                     (unmasked in place: payloads are views of the chunk)   │
//!  socket ◀─ bytes ─ flush ◀─ staged messages: connection, kind, offset, length
//! ```
//!
//! Where a program can't tell, bytes pass [straight](direct) between the core and the kernel instead.
//!
//! Everything is a function that takes the [`Hub`](hub::Hub) and the number of a connection: that
//! costs a third of what a method of a native class does. Tables are arrays of words that
//! JavaScript owns and uses again.

// In the order of dependence: a module uses only those above it.

mod arrays;

pub mod options;

mod words;

mod table;

mod timetable;

mod connection;

pub mod hub;

pub mod receiving;

pub mod sending;

pub mod direct;

pub mod closing;

pub mod handshake;

pub mod extensions;
