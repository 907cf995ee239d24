//! The load generator of the benchmark: a client on one thread that costs less than any server. It
//! sends prebuilt frames, counts the replies by their headers, checks the length of each, and compares
//! a sample with the sent messages. Or it publishes, and does the same at each member.
//!
//! It uses no WebSocket library, so that none is its own peer; over HTTP/2 it uses the crate h2, as all
//! servers here do. It reads the server's processor time at both ends of the measured interval, and
//! prints the results as one line of JSON.

mod payloads;

mod frames;

mod replies;

mod process;

mod certificates;

mod tickets;

mod session;

mod link;

mod connecting;

mod conversation;

mod echo;

mod http2;

mod standing;

mod latencies;

mod probing;

mod greedy;

mod fair;

mod audience;

mod fanout;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::frames::{Compression, Expected, Kind, Shape, Traffic};
use crate::greedy::Greed;
use crate::process::Watched;
use crate::session::Tls;

#[derive(Parser)]
#[command(about = "Loads a WebSocket server, and prints what it took as JSON")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Keep messages in flight on every connection
    Echo(EchoArguments),
    /// Echo one message on every connection, and read the server's memory before and after
    Hold(StandingArguments),
    /// Only open connections
    Accept(StandingArguments),
    /// Put load on one connection, and measure the latency of others
    Fair(FairArguments),
    /// Publish to topics, and receive at all members
    Fanout(FanoutArguments),
    /// Write a certificate for loopback and its key, `chain.pem` and `key.pem`
    Certificate { directory: PathBuf },
}

#[derive(Args)]
struct Target {
    /// The address of the server
    #[arg(long)]
    address: SocketAddr,
    /// The process id of the server
    #[arg(long)]
    pid: u32,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// The payload of a message, in bytes
    #[arg(long, default_value_t = 32)]
    size: usize,
    #[arg(long, value_enum, default_value_t = Kind::Binary)]
    kind: Kind,
    /// Negotiate permessage-deflate, by default without context takeover in either direction
    #[arg(long)]
    compress: bool,
    /// With context takeover in both directions
    #[arg(long, requires = "compress")]
    takeover: bool,
    /// The server returns the bytes as they came, masked
    #[arg(long)]
    raw: bool,
}

impl Target {
    fn shape(&self) -> Shape {
        let compression = match (self.compress, self.takeover) {
            (false, _) => Compression::Off,
            (true, false) => Compression::Alone,
            (true, true) => Compression::Takeover,
        };
        Shape { kind: self.kind, size: self.size, compression }
    }
}

#[derive(Args)]
struct EchoArguments {
    #[command(flatten)]
    target: Target,
    /// Use TLS, and accept any certificate
    #[arg(long)]
    tls: bool,
    /// Use HTTP/2 without TLS: the connections are streams of one HTTP/2 connection
    #[arg(long, conflicts_with_all = ["tls", "compress"])]
    http2: bool,
    /// The messages in flight on each connection
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// The seconds of warm-up
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// The seconds of measurement
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Compare the payload of one message in this many
    #[arg(long, default_value_t = 16)]
    compare_every: u64,
}

#[derive(Args)]
struct StandingArguments {
    #[command(flatten)]
    target: Target,
    /// Use TLS, and accept any certificate
    #[arg(long)]
    tls: bool,
    /// Resume sessions instead of beginning new ones
    #[arg(long, requires = "tls")]
    resume: bool,
    /// The number of handshakes at a time
    #[arg(long, default_value_t = 32)]
    together: usize,
    /// The seconds of rest before the memory is read again
    #[arg(long, default_value_t = 0.5)]
    settle: f64,
}

#[derive(Args)]
struct FairArguments {
    /// The other connections, which are held open
    #[command(flatten)]
    target: Target,
    /// The load of the one connection
    #[arg(long, value_enum, default_value_t = Greed::None)]
    greed: Greed,
    /// The seconds of warm-up
    #[arg(long, default_value_t = 0.3)]
    warm_up: f64,
    /// The seconds of measurement
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// The address of the server's probe
    #[arg(long)]
    probe: Option<SocketAddr>,
}

#[derive(Args)]
struct FanoutArguments {
    /// The connections are the members of each topic
    #[command(flatten)]
    target: Target,
    /// The number of topics, each with a publisher of its own
    #[arg(long, default_value_t = 1)]
    topics: usize,
    /// The messages that are published together. The next follow when all members have them
    #[arg(long, default_value_t = 1)]
    burst: usize,
    /// Add a member that never reads to the first topic, and publish to it alone until nothing more fits
    #[arg(long)]
    stalled: bool,
    /// The seconds of warm-up
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// The seconds of measurement
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Compare the payload of one message in this many
    #[arg(long, default_value_t = 16)]
    compare_every: u64,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<String> {
    connecting::allow_many_descriptors()?;
    match command {
        Command::Echo(arguments) => {
            let EchoArguments { target, tls, http2, in_flight, warm_up, seconds, compare_every } =
                arguments;
            let plan = echo::Plan {
                address: target.address,
                connections: target.connections,
                in_flight,
                warm_up: span(warm_up)?,
                measured: span(seconds)?,
                tls: tls.then(Tls::new).transpose()?,
            };
            let traffic = Traffic::new(target.shape(), in_flight);
            let expected = Expected::new(&traffic, target.raw, compare_every);
            let server = Watched::new(target.pid);
            json(&if http2 {
                http2::run(&plan, traffic, expected, &server)?
            } else {
                echo::run(&plan, &traffic, &expected, &server)?
            })
        }
        Command::Hold(arguments) => json(&standing::hold(&standing_plan(&arguments)?)?),
        Command::Accept(arguments) => json(&standing::accept(&standing_plan(&arguments)?)?),
        Command::Fair(arguments) => json(&fair::run(&fair_plan(&arguments)?)?),
        Command::Fanout(arguments) => json(&fanout::run(&fanout_plan(&arguments)?)?),
        Command::Certificate { directory } => {
            certificates::write(&directory)?;
            Ok(format!("written to {}", directory.display()))
        }
    }
}

fn fair_plan(arguments: &FairArguments) -> Result<fair::Plan> {
    let FairArguments { target, greed, warm_up, seconds, probe } = arguments;
    Ok(fair::Plan {
        address: target.address,
        greed: *greed,
        shape: target.shape(),
        held: target.connections,
        warm_up: span(*warm_up)?,
        measured: span(*seconds)?,
        probe: *probe,
        server: Watched::new(target.pid),
    })
}

fn fanout_plan(arguments: &FanoutArguments) -> Result<fanout::Plan> {
    let FanoutArguments { target, topics, burst, stalled, warm_up, seconds, compare_every } =
        arguments;
    Ok(fanout::Plan {
        address: target.address,
        shape: target.shape(),
        topics: *topics,
        members: target.connections,
        burst: *burst,
        stalled: *stalled,
        warm_up: span(*warm_up)?,
        measured: span(*seconds)?,
        compare_every: *compare_every,
        server: Watched::new(target.pid),
    })
}

fn standing_plan(arguments: &StandingArguments) -> Result<standing::Plan> {
    let StandingArguments { target, tls, resume, together, settle } = arguments;
    Ok(standing::Plan {
        address: target.address,
        connections: target.connections,
        together: *together,
        settle: span(*settle)?,
        shape: target.shape(),
        raw: target.raw,
        tls: tls.then(Tls::new).transpose()?,
        resume: *resume,
        server: Watched::new(target.pid),
    })
}

fn span(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds).context("no length of time")
}

fn json(report: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(report)?)
}
