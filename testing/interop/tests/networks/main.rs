//! Towline with reverse proxies, proxies and OpenSSL.
//!
//! Each test starts the programs that it needs on loopback, and ends them. `cargo xtask test --only
//! networks` runs the tests whose programs are installed; `cargo test --package towline-interop --test
//! networks -- --ignored` runs all. A module is named after the program that it needs.
#![allow(clippy::unwrap_used)]

mod bounded;

mod program;

mod certificates;

mod echo;

mod conversation;

mod nginx;

mod proxied;

mod tinyproxy;

mod microsocks;

mod environment;

mod openssl;

mod reload;
