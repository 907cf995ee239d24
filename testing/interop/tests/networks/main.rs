//! Towline among other people's programs on the network: reverse proxies, proxies, OpenSSL.
//!
//! Each test starts what it needs on loopback, and ends it. `cargo xtask test --only networks` runs
//! those that the machine has the programs for; by hand it is `cargo test --package towline-interop
//! --test networks -- --ignored`. A module that needs a program is named after it.
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
