//! Connections over TLS.
#![allow(clippy::unwrap_used)]

mod certificates;

mod echo;
