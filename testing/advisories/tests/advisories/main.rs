//! Attacks that have hit WebSocket libraries, against a server and a client of Towline. README.md has
//! the table. A test is named after the number of the advisory, which comes first in its name.

#![allow(clippy::unwrap_used, missing_docs)]

mod heads;

mod smuggling;

mod injection;

mod origins;

mod lengths;

mod fragments;

mod bombs;

mod control_frames;

mod random;

mod stalled;

mod endings;

mod certificates;

mod table;

mod attacker;
mod memory;
