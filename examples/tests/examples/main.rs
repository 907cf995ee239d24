//! The examples run, and do what they say, with clients that are slow, wrong or killed as well.

#![allow(clippy::unwrap_used, missing_docs)]

mod program;

mod chat;
#[cfg(unix)]
mod cores;
mod echo;
mod hyper;
#[cfg(feature = "jwt")]
mod jwt;
mod proto;
mod readme;
mod reconnecting;
mod rooms;
mod subprotocols;
mod ticker;
mod tunnel;
mod upload;
