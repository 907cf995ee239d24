//! Connections over TLS.
#![allow(clippy::unwrap_used)]

mod certificates;

mod by_proxy;

mod echo;

mod nonsense;
