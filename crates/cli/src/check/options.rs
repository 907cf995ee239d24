//! The options of `towline check`.

use std::time::Duration;

use clap::Args;

use crate::exit::CHECK_CODES;
use crate::help::in_paragraphs;
use crate::network::Network;
use crate::options::{Handshake, url};
use crate::quantity::{duration, size_within, some_duration};

/// The most that `--max-size` can be.
const LARGEST: usize = 16 << 20;

/// What it does, for `--help`.
const DETAILS: &str = "\
Each line is ok, a note, a warning or a fault: what was seen, the section of the RFC that says what is
right, and what to do. \"not seen\" means that the check could not be made, and why: whether a message was
understood is seen only if the server echoes it. The documentation has a page on the checks: docs/doctor.md.

It opens at most 50 connections, one at a time, with a pause of 50 ms between them, and sends the server
what clients must not send: a server may log that, or block the address for a while. Do not check a
server that is not yours without asking. With --gentle it pauses for a second, opens at most 30
connections, and sends nothing that breaks the protocol.

Where the Origin is checked, it sends others than --origin. The URL's query, user and password, and the
values of --header are never shown.

Examples:
  towline check ws://127.0.0.1:9001/
  towline check wss://example.com/chat --origin https://example.com --protocol chat.v2
  towline check wss://example.com/feed -H 'Authorization: Bearer …' --gentle
  towline check wss://example.com/feed --idle 2m
  towline check ws://127.0.0.1:9001/ --max-size 16MiB
  towline check wss://staging.example.com/ --json --strict > check.json";

/// Check a WebSocket server and what lies between: a report with a verdict and advice per line.
#[derive(Debug, Args)]
#[command(after_help = CHECK_CODES, after_long_help = in_paragraphs(&format!("{DETAILS}\n\n{CHECK_CODES}")))]
pub(crate) struct Options {
    /// The server's URL, such as wss://example.com/chat; ws:// can be omitted
    #[arg(value_parser = url)]
    pub(crate) url: String,

    #[command(flatten)]
    pub(crate) handshake: Handshake,

    /// The text message to send, for a server that closes when it does not understand one
    #[arg(short, long, value_name = "TEXT", default_value = "towline check")]
    pub(crate) message: String,

    /// The largest message to try when looking for the limit, at most 16MiB
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = max_size)]
    pub(crate) max_size: usize,

    /// Also hold an idle connection for this long, and if it does not last, one with pings. It takes at
    /// most twice this time longer [default: none is held]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) idle: Option<Duration>,

    /// Be careful with a server in production: fewer connections, longer pauses, no invalid frames
    #[arg(long)]
    pub(crate) gentle: bool,

    /// Exit with code 1 if there are warnings and no faults
    #[arg(long)]
    pub(crate) strict: bool,

    /// Print one JSON object, at the end
    #[arg(long)]
    pub(crate) json: bool,

    /// How long each step may take: a name, a connection, an answer
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = some_duration)]
    pub(crate) step_timeout: Duration,

    /// How long the whole run may take, without --idle. Checks for which no time is left are not made
    #[arg(short, long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    pub(crate) timeout: Duration,

    #[command(flatten)]
    pub(crate) network: Network,
}

fn max_size(text: &str) -> Result<usize, String> {
    match size_within(text, LARGEST)? {
        0 => Err("must be above zero".to_owned()),
        size => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_bounded() {
        assert_eq!(max_size("16MiB"), Ok(16 << 20));
        assert!(max_size("17MiB").unwrap_err().contains("16 MiB"));
        assert!(max_size("0").is_err());
    }
}
