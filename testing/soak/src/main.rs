//! A server in one process, and thousands of clients in another that come, talk, split,
//! misbehave, vanish and return. A checker knows what each message must be. In the end nothing may
//! be lost, and the server must have what it had in the beginning.

mod dice;

mod figures;

mod processor;

mod tally;

mod serving;

mod talking;

mod rude;

mod soaking;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask soak", about = "Soaks a server on loopback in clients")]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// How long the clients come and go
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many clients there are at a time
    #[arg(long, default_value_t = 2_000)]
    connections: usize,
    /// How many connections a shutdown has to close in the end
    #[arg(long, default_value_t = 3_000)]
    shutdown: usize,
}

#[derive(Subcommand)]
enum Role {
    /// The server's process, which the clients' process starts
    #[command(hide = true)]
    Serve,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let passed = runtime.block_on(async {
        match arguments.role {
            Some(Role::Serve) => serving::run().await.map(|()| true),
            None => {
                let time = Duration::from_secs(arguments.seconds);
                soaking::run(time, arguments.connections, arguments.shutdown).await
            }
        }
    });
    // Standard input is read on a thread that does not end.
    runtime.shutdown_background();
    passed
}
