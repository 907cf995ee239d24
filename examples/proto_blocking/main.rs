//! `towline-proto` on blocking sockets of the standard library: an echo server with a thread for each
//! connection, and a client. No tokio, no async.
//!
//! `cargo example proto_blocking serve`, and in another terminal `cargo example proto_blocking connect`.

mod socket;

use std::env;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use towline_proto::{CloseCode, CloseFrame};

use crate::socket::{Result, Socket};

/// Echoes the messages of a client until its end.
fn echo(stream: TcpStream) -> Result<()> {
    let mut socket = Socket::accept(stream)?;
    while let Some(incoming) = socket.receive()? {
        if let Some(message) = incoming.into_message() {
            // Queued here, and written before the next read.
            socket.connection.session().send(message)?;
        }
    }
    Ok(())
}

fn serve(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            if let Err(error) = echo(stream) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn connect(address: &str) -> Result<()> {
    let mut socket = Socket::connect(address)?;
    socket.connection.session().send("ship ahoy")?;
    println!("{:?}", socket.receive()?);
    let farewell = CloseFrame::new(CloseCode::NORMAL, "bye")?;
    // Refused if the server has begun to close: then that is the end.
    let _ = socket.connection.session().close(Instant::now(), farewell);
    // The close is complete when the peer's has come.
    while socket.receive()?.is_some() {}
    if let Some(closed) = socket.connection.session().closed() {
        println!("{closed}");
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve"] => serve("127.0.0.1:9001"),
        ["serve", address] => serve(address),
        ["connect"] => connect("127.0.0.1:9001"),
        ["connect", address] => connect(address),
        _ => Err("write serve [ADDRESS], or connect [ADDRESS]".into()),
    }
}
