//! The server and the client that the interop suites drive. `testing/interop/README.md` has the
//! contract that this program keeps.

mod limits;

mod compression;

mod fragments;

mod closes;

mod query;

mod serve;

mod client;

mod autobahn;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::client::Scenario;
use crate::compression::Settings;

#[derive(Parser)]
#[command(name = "towline-interop", about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Echo, on every path; some paths do more
    Serve {
        /// Where to listen; port 0 is any that is free
        #[arg(long, value_name = "ADDRESS")]
        listen: String,
        /// Compress every message; settings are joined by commas
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
        /// Compress every message; settings are joined by commas
        #[arg(long, value_name = "SETTINGS", env = "TOWLINE_DEFLATE", num_args = 0..=1, default_missing_value = "", require_equals = true)]
        compress: Option<Settings>,
    },
    /// Play all cases of an Autobahn fuzzing server
    AutobahnClient {
        /// The fuzzing server, without a path
        #[arg(long)]
        url: String,
        /// What the reports call this program
        #[arg(long, value_name = "NAME")]
        agent: String,
        /// Compress every message; settings are joined by commas
        #[arg(long, value_name = "SETTINGS", env = "TOWLINE_DEFLATE", num_args = 0..=1, default_missing_value = "", require_equals = true)]
        compress: Option<Settings>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve { listen, compress } => serve::run(&listen, compress).await.map(|()| true),
        Command::Client { scenarios, url, compress } => {
            Ok(client::play_all(&scenarios, &url, compress).await)
        }
        Command::AutobahnClient { url, agent, compress } => {
            autobahn::run(&url, &agent, compress).await.map(|()| true)
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
