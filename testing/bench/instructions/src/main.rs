//! Runs one hot path of Towline a given number of times. The difference between two runs, divided by the
//! difference of their repetitions, is the cost of one repetition.
//!
//! `cargo xtask bench --instructions` runs them under valgrind, and compares with
//! `docs/benchmarks/instructions.json`.

mod frames;

mod protocol;

mod handshakes;

mod connections;

mod topics;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;

/// A repeated operation.
struct Path {
    name: &'static str,
    about: &'static str,
    /// The number of repetitions that is enough to measure it.
    times: usize,
    run: fn(usize) -> Result<()>,
}

const fn path(
    name: &'static str,
    about: &'static str,
    times: usize,
    run: fn(usize) -> Result<()>,
) -> Path {
    Path { name, about, times, run }
}

const PATHS: [Path; 22] = [
    path("parse-32B", "unmask and decode binary messages, 64 in a read", 20_480, |times| {
        protocol::parse_binary(32, times)
    }),
    path("parse-1KiB", "unmask and decode binary messages, 16 in a read", 8192, |times| {
        protocol::parse_binary(1 << 10, times)
    }),
    path("text-32B-ascii", "unmask, decode and validate text, 64 in a read", 20_480, |times| {
        protocol::parse_text(frames::ASCII, 32, times)
    }),
    path("text-32B-multilingual", "the same in many scripts", 20_480, |times| {
        protocol::parse_text(frames::MULTILINGUAL, 32, times)
    }),
    path("text-1KiB-ascii", "unmask, decode and validate text, 16 in a read", 8192, |times| {
        protocol::parse_text(frames::ASCII, 1 << 10, times)
    }),
    path("text-1KiB-multilingual", "the same in many scripts", 8192, |times| {
        protocol::parse_text(frames::MULTILINGUAL, 1 << 10, times)
    }),
    path(
        "assemble-fragments",
        "a message of 8 KiB in 8 frames",
        1024,
        protocol::assemble_fragments,
    ),
    path(
        "assemble-reads",
        "text of 64 KiB in one frame and 16 reads",
        128,
        protocol::assemble_reads,
    ),
    path("encode-32B", "encode as a server, 64 in a write", 20_480, |times| {
        protocol::encode(32, times)
    }),
    path("encode-1KiB", "encode as a server, 16 in a write", 8192, |times| {
        protocol::encode(1 << 10, times)
    }),
    path("encode-64KiB", "encode as a server, in 4 frames", 2048, |times| {
        protocol::encode(64 << 10, times)
    }),
    path("mask-32B", "encode as a client, 64 in a write", 20_480, |times| {
        protocol::mask(32, times)
    }),
    path("mask-1KiB", "encode as a client, 16 in a write", 8192, |times| {
        protocol::mask(1 << 10, times)
    }),
    path("mask-64KiB", "encode as a client, in 4 frames", 256, |times| {
        protocol::mask(64 << 10, times)
    }),
    path(
        "handshake-server",
        "parse a request, accept, write the response",
        512,
        handshakes::server,
    ),
    path(
        "handshake-client",
        "write a request, parse and verify a response",
        512,
        handshakes::client,
    ),
    path("echo-32B-one", "a connection over a pipe, recv and send, one at a time", 2048, |times| {
        connections::echo(1, times)
    }),
    path("echo-32B-flight", "the same, 64 in flight", 10_240, |times| connections::echo(64, times)),
    path("echo-32B-borrowed", "recv_ref and send_ref, 64 in flight", 10_240, |times| {
        connections::echo_borrowed(64, times)
    }),
    path("accept", "a connection over a pipe, from its request to its end", 256, |times| {
        connections::accept(times)
    }),
    path("topic-128B-one", "deliver to a member of a topic, one at a time", 8192, |times| {
        topics::deliver(1, times)
    }),
    path("topic-128B-burst", "the same, 50 published at a time", 102_400, |times| {
        topics::deliver(50, times)
    }),
];

#[derive(Parser)]
#[command(about = "Does one thing again and again, for a tool that counts instructions")]
struct Arguments {
    /// The path to run
    path: Option<String>,
    /// The number of repetitions, rounded up to whole batches
    #[arg(long, default_value_t = 1)]
    times: usize,
}

fn main() -> ExitCode {
    let Arguments { path, times } = Arguments::parse();
    match path.map_or_else(list, |name| run(&name, times)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line for each path: its name, its number of repetitions, its description.
fn list() -> Result<()> {
    for Path { name, about, times, .. } in &PATHS {
        println!("{name} {times} {about}");
    }
    Ok(())
}

fn run(name: &str, times: usize) -> Result<()> {
    match PATHS.iter().find(|path| path.name == name) {
        Some(path) => (path.run)(times),
        None => bail!("there is no path {name:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_does_what_it_says() {
        for path in &PATHS {
            (path.run)(200).unwrap_or_else(|error| panic!("{}: {error:#}", path.name));
        }
    }
}
