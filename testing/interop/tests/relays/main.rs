//! Topics over several nodes, by real brokers.
//!
//! Each test starts a broker of its own on loopback, and ends it. `cargo xtask test --only relays` runs
//! the tests whose brokers are installed; `cargo test --package towline-interop --test relays --
//! --ignored` runs all. A module is named after the broker that it needs.
#![allow(clippy::unwrap_used)]

mod bounded;

mod node;

mod scenarios;

mod failures;

/// Tests of a broker, each a scenario.
macro_rules! tests {
    ($ignored:literal; $($broker:ty: $module:ident::$name:ident as $test:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = $ignored]
        async fn $test() {
            $module::$name::<$broker>().await;
        }
    )*};
}

mod nats;

mod redis;
