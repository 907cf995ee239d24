//! Code shared by the servers of the benchmark: options, listening socket, runtime, and what a careful
//! user of a library would add by hand to save system calls.

pub mod options;

pub mod stretches;

pub mod probing;

pub mod stream;

pub mod securing;

pub mod listening;

pub mod fanout;

pub mod handshake;

pub mod batching;

pub mod corked;
