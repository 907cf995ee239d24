//! Files of any size, uploaded in one message each: neither end holds more than some KiB of it, the
//! client is told what has arrived, and an upload that was cut off goes on where it stopped.
//!
//! `cargo example upload serve 127.0.0.1:9001 /tmp/uploads`, and in another terminal
//! `cargo example upload send ws://127.0.0.1:9001/ FILE`. Kill the client in the middle, and start it
//! again.
//!
//! The protocol: the client asks for `/NAME?size=BYTES&sha256=HEX`. The server says how much of that file it
//! has, `have 0` at first. The client sends the rest in one binary message. The server says `have N` now and
//! then, and at the end `stored N`, if all bytes together have that hash. So an upload never goes on with the
//! bytes of another file that has the same name.

mod offer;

mod receive;

mod send;

use std::env;
use std::error::Error;
use std::path::Path;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", address, directory] => receive::run(address, Path::new(directory)).await,
        ["send", url, file] => send::run(url, Path::new(file)).await,
        _ => Err("write serve ADDRESS DIRECTORY, or send URL FILE".into()),
    }
}
