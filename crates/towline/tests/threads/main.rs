//! What threads can do to each other in a connection, tried by shuttle.
//!
//! Each test is a small program on several threads, and runs some thousand times; shuttle decides
//! who runs when, and what comes by chance. So a fault that a test finds comes with a schedule, to be
//! run again: see `CONTRIBUTING.md`. A program in which somebody is left waiting has failed.

#![cfg(shuttle)]
#![allow(clippy::unwrap_used)]

mod model;

mod wire;

mod sending;

mod waiting;

mod ending;

mod panicking;

mod topics;

mod relaying;
