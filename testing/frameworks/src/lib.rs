//! Towline's WebSockets in the handlers of web frameworks on hyper, and on connections of HTTP clients.
//!
//! Each framework has a module with a server. All of them serve the same chat in the same way, so
//! `tests/servers.rs` runs one test on each. `tests/clients.rs` runs the clients.

pub mod chat;

pub mod warp;

pub mod poem;

pub mod salvo;

pub mod axum;

pub mod reqwest;

pub mod kube;

#[cfg(doctest)]
mod pages;
