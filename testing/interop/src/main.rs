//! The server and the client of the interop suites. This program implements the contract in
//! `testing/interop/README.md`.

mod limits;

mod compression;

mod tls;

mod fragments;

mod closes;

mod query;

mod serve;

mod serve_axum;

mod client;

mod autobahn;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::client::Scenario;
use crate::compression::Settings;
use crate::tls::{ClientTls, ServerTls};

#[derive(Parser)]
#[command(name = "towline-interop", about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Echo on every path, with additional behaviour on some
    Serve {
        /// The address to listen on; with port 0, the system chooses a port
        #[arg(long, value_name = "ADDRESS")]
        listen: String,
        /// Compress every message, with these settings, separated by commas
        #[arg(long, value_name = "SETTINGS", env = "TOWLINE_DEFLATE", num_args = 0..=1, default_missing_value = "", require_equals = true)]
        compress: Option<Settings>,
        #[command(flatten)]
        tls: ServerTls,
    },
    /// The same in an axum app, until SIGTERM, with pages beside it
    ServeAxum {
        /// The address to listen on; with port 0, the system chooses a port
        #[arg(long, value_name = "ADDRESS")]
        listen: String,
        /// Compress every message, with these settings, separated by commas
        #[arg(long, value_name = "SETTINGS", env = "TOWLINE_DEFLATE", num_args = 0..=1, default_missing_value = "", require_equals = true)]
        compress: Option<Settings>,
    },
    /// Play scenarios against a server, one after the other
    Client {
        #[arg(required = true, value_enum, value_name = "SCENARIO")]
        scenarios: Vec<Scenario>,
        /// The server, without a path: ws://127.0.0.1:9001
        #[arg(long)]
        url: String,
        /// Compress every message, with these settings, separated by commas
        #[arg(long, value_name = "SETTINGS", env = "TOWLINE_DEFLATE", num_args = 0..=1, default_missing_value = "", require_equals = true)]
        compress: Option<Settings>,
        #[command(flatten)]
        tls: ClientTls,
    },
    /// Play all cases of an Autobahn fuzzing server
    AutobahnClient {
        /// The fuzzing server, without a path
        #[arg(long)]
        url: String,
        /// The name of this program in the reports
        #[arg(long, value_name = "NAME")]
        agent: String,
        /// Compress every message, with these settings, separated by commas
        #[arg(long, value_name = "SETTINGS", env = "TOWLINE_DEFLATE", num_args = 0..=1, default_missing_value = "", require_equals = true)]
        compress: Option<Settings>,
        #[command(flatten)]
        tls: ClientTls,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns true if everything passed.
async fn run(command: Command) -> Result<bool> {
    match command {
        Command::Serve { listen, compress, tls } => {
            serve::run(&listen, compress, tls.load()?).await?;
        }
        Command::ServeAxum { listen, compress } => serve_axum::run(&listen, compress).await?,
        Command::Client { scenarios, url, compress, tls } => {
            return Ok(client::play_all(&scenarios, &url, compress, &tls.load()?).await);
        }
        Command::AutobahnClient { url, agent, compress, tls } => {
            autobahn::run(&url, &agent, compress, tls.load()?).await?;
        }
    }
    Ok(true)
}
