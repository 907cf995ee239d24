//! `towline-proto` on mio: an echo server for many connections on one thread, without tokio. It is the
//! skeleton of a host for any event loop.
//!
//! `cargo example proto_mio`, and in another terminal `cargo run -- connect ws://127.0.0.1:9001/`.

mod client;

mod event_loop;

use std::env;
use std::io;

use crate::event_loop::EventLoop;

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut event_loop = EventLoop::bind(address.parse().map_err(io::Error::other)?)?;
    println!("listening on {}", event_loop.local_addr()?);
    event_loop.run()
}
