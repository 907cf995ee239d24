//! A client that sends or receives messages as fast as it can, by the chosen library; and its peer.
//!
//! A client measures its own processor time after the warm-up, and prints it with the number of messages
//! as a line of JSON.

mod meter;

mod flow;

mod opposite;

mod libraries;

mod masking;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use tokio::net::TcpStream;

use crate::flow::Flow;
use crate::libraries::{Direction, Way};
use crate::meter::Meter;

#[derive(Parser)]
#[command(about = "Sends or receives messages as fast as it can, and prints what it took as JSON")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send
    Send(ClientArguments),
    /// Receive
    Receive(ClientArguments),
    /// Run the server that receives from a sending client
    Sink(OppositeArguments),
    /// Run the server that sends to a receiving client
    Source(OppositeArguments),
    /// Mask, copy and validate in memory
    Masking {
        /// Seconds for each
        #[arg(long, default_value_t = 0.2)]
        seconds: f64,
    },
}

#[derive(Args)]
struct OppositeArguments {
    /// The payload of a message, in bytes
    #[arg(long, default_value_t = 32)]
    size: usize,
}

#[derive(Args)]
struct ClientArguments {
    /// The address of the sink or the source
    #[arg(long)]
    address: SocketAddr,
    /// The library, and its use
    #[arg(long)]
    way: Way,
    /// The payload of a message, in bytes
    #[arg(long, default_value_t = 32)]
    size: usize,
    /// The seconds of warm-up
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// The seconds of measurement
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Send(arguments) => client(&arguments, Direction::Send),
        Command::Receive(arguments) => client(&arguments, Direction::Receive),
        Command::Sink(OppositeArguments { size }) => opposite::serve(size, opposite::sink),
        Command::Source(OppositeArguments { size }) => opposite::serve(size, opposite::source),
        Command::Masking { seconds } => {
            println!("{}", serde_json::to_string(&masking::run(span(seconds)?)?)?);
            Ok(())
        }
    }
}

fn client(arguments: &ClientArguments, direction: Direction) -> Result<()> {
    let &ClientArguments { address, way, size, warm_up, seconds } = arguments;
    let (warm_up, measured) = (span(warm_up)?, span(seconds)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let flow = runtime.block_on(async move {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let meter = Meter::new(size, warm_up, measured);
        let flow = Flow { size, payload: opposite::payload(size).into(), meter };
        // A spawned task, as in a real program.
        tokio::spawn(libraries::run(way, direction, stream, flow)).await?
    })?;
    let report = flow.meter.report().context("it ended before it was measured")?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn span(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds).context("no length of time")
}
