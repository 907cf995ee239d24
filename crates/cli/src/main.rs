//! The `towline` program: an echo server with a console for the browser, and a client for the
//! terminal and for scripts.

// In the order of dependence: a module uses only those above it.

mod say;

mod quantity;

mod refusal;

mod exit;

mod certificate;

mod network;

mod interrupt;

mod serve;

mod connect;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Failure};

/// WebSockets by hand: an echo server with a console for the browser, and a client for the
/// terminal and for scripts.
///
/// Without a command it is `towline serve`.
#[derive(Debug, Parser)]
#[command(name = "towline", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Options),
    Connect(connect::Options),
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // Serving has defaults for everything.
    let command = command.or_else(|| Arguments::parse_from(["towline", "serve"]).command);
    let outcome = match command {
        Some(Command::Serve(options)) => serve(options),
        Some(Command::Connect(options)) => connect(options),
        None => Err(Failure::new(Exit::Usage, "there is no command")),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            say::error(&failure);
            failure.exit.into()
        }
    }
}

fn serve(options: serve::Options) -> Result<Exit, Failure> {
    // Threads that share nothing have a runtime each; this one waits for them.
    let mut runtime = match options.threads {
        Some(_) => tokio::runtime::Builder::new_current_thread(),
        None => tokio::runtime::Builder::new_multi_thread(),
    };
    block_on(runtime.enable_all().build(), serve::run(options))
}

fn connect(options: connect::Options) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    block_on(runtime, connect::run(options))
}

fn block_on(
    runtime: std::io::Result<tokio::runtime::Runtime>,
    future: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    let runtime =
        runtime.map_err(|error| Failure::new(Exit::Unclean, format!("can't start: {error}")))?;
    let outcome = runtime.block_on(future);
    // What is still going on ends with the process: nothing is waited for.
    runtime.shutdown_background();
    outcome
}
