//! What a message costs that crosses from one node to another, by NATS: processor time per message of the node
//! that publishes, of the node that delivers, and of the broker. The same with `async-nats` alone is beside it.
//! It needs Linux and the program `nats-server`.
//!
//! ```sh
//! cargo run --release -p towline-nats --example crossing
//! ```
//!
//! Each node is a process of its own with one thread. The peers of the members take everything at once, so that
//! what is measured is the relay and the topics, and not the kernel's sockets: docs/benchmarks has those.

mod bare;

mod node;

mod processor;

mod processes;

use std::error::Error;

use crate::processes::{Broker, Sums, round};

/// How many messages cross in a round, and how many of them are not measured.
const MESSAGES: u64 = 300_000;

/// The payload of a message.
const SIZE: usize = 128;

const ROUNDS: usize = 3;

/// How the messages cross, and how many members get each.
const WAYS: [(&str, usize); 3] = [("async-nats", 1), ("towline", 1), ("towline", 100)];

/// The publisher is ahead of the receiver by so many messages at the most, and told each time that a part of
/// them has arrived.
const AHEAD: u64 = 8000;
const PART: u64 = 1000;

/// The publisher yields after so many messages, as a program does that has other things to do.
const TURN: u64 = 50;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => measure(MESSAGES, ROUNDS),
        ["--messages", messages] => measure(messages.parse::<u64>()?.next_multiple_of(PART), 1),
        [way, what, url, messages, members] => {
            run(way, what, url, messages.parse()?, members.parse()?)
        }
        _ => Err("write nothing, or --messages and a number".into()),
    }
}

fn measure(messages: u64, rounds: usize) -> Result<()> {
    let broker = Broker::start()?;
    let mut sums = vec![Vec::<Sums>::new(); WAYS.len()];
    for _ in 0..rounds {
        for ((way, members), sums) in WAYS.iter().zip(&mut sums) {
            sums.push(round(&broker, way, *members, messages)?);
        }
    }
    println!(
        "CPU per message of {SIZE} B, and to async-nats; medians of {rounds}, {messages} messages"
    );
    println!("| | publishing node | delivering node | nats-server | a delivery |");
    println!("| --- | --- | --- | --- | --- |");
    let floor = median(&sums[0]);
    for ((way, members), sums) in WAYS.iter().zip(&sums) {
        let own = median(sums);
        let cell = |own: f64, floor: f64| format!("{own:.0} ns, {:.2}", own / floor);
        println!(
            "| {way}, {members} | {} | {} | {} | {:.0} ns |",
            cell(own.publisher, floor.publisher),
            cell(own.receiver, floor.receiver),
            cell(own.broker, floor.broker),
            own.receiver / *members as f64,
        );
    }
    Ok(())
}

/// The median of each.
fn median(sums: &[Sums]) -> Sums {
    let of = |part: fn(&Sums) -> f64| {
        let mut all: Vec<f64> = sums.iter().map(part).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Sums {
        publisher: of(|sums| sums.publisher),
        receiver: of(|sums| sums.receiver),
        broker: of(|sums| sums.broker),
    }
}

/// The other processes.
fn run(way: &str, what: &str, url: &str, messages: u64, members: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match (way, what) {
            ("async-nats", "publish") => bare::publish(url, messages).await,
            ("async-nats", _) => bare::receive(url, messages).await,
            (_, "publish") => node::publish(url, messages).await,
            _ => node::receive(url, messages, members).await,
        }
    })
}

/// Text of the right length.
fn payload() -> String {
    "x".repeat(SIZE)
}
