//! Behaviour tests, by topic. Time is virtual, transports are in memory where that will do.

#![allow(clippy::unwrap_used, missing_docs)]

mod echo;
mod support;
