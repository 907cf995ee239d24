//! Prices for many clients, some of which are slow. A client chooses what happens when it is:
//!
//! - `/every`: it gets every price as long as it keeps up. If it does not, it misses some, and is told
//!   how many.
//! - `/newest`: what it could not take is replaced by the newest price. So it has the last one in the end,
//!   whatever it missed.
//!
//! `cargo example ticker` publishes 1000 prices a second. In two more terminals, `cargo example ticker watch
//! every` and `cargo example ticker watch newest` are clients that can take 100 a second. Neither falls
//! behind the present by more than its buffers hold, and neither holds up the other.

mod serve;

mod watch;

use std::env;
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => serve::run("127.0.0.1:9001", 1000).await,
        [address] if address != "watch" => serve::run(address, 1000).await,
        [address, rate] if address != "watch" => serve::run(address, rate.parse()?).await,
        ["watch", way] => watch::run(&format!("ws://127.0.0.1:9001/{way}")).await,
        ["watch", way, host] => watch::run(&format!("ws://{host}/{way}")).await,
        _ => Err("write [ADDRESS [PRICES-PER-SECOND]], or watch every|newest [HOST:PORT]".into()),
    }
}
