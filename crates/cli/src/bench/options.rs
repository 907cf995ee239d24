//! The options of `towline bench`, and the client they describe.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use towline::{Client, Config, Deflate, HttpVersion, Target, Tls};

use crate::bench::after::After;
use crate::bench::compare::METHOD;
use crate::bench::results::{Scenario, Shard};
use crate::exit::{BENCH_CODES, Failure};
use crate::help::in_paragraphs;
use crate::network::{Network, Opening};
use crate::options::{Handshake, PerConnection, http_version, url};
use crate::quantity::{duration, size_within, some_duration};
use crate::secrets;

/// How a load is described, for `--help`.
const DETAILS: &str = "\
Scenarios:
  echo       the server answers each message with the same one. The time until
             the answer is measured, and the answer is compared with the
             message
  push       the server sends by itself, perhaps after --on-open. The gaps
             between messages are measured
  broadcast  the first connection publishes, and all others receive. The time
             until each has the message is measured, by a stamp in it
  storm      --connections tasks connect, close and connect again. Handshakes
             are measured
  idle       opens --connections, holds them for --duration, and reports those
             that were lost

Without --rate the loop is closed: each connection has --in-flight messages unanswered, and a slow server
slows the load down. With --rate it is open: messages are due at a constant rate, whatever the server
does, and their latency counts from when they were due, so that a pause of the server shows in full.

--messages N counts what is sent in the measured time: N messages, no more, and fewer only if
--duration is over before, or connections are lost. Those of --on-open and of the warm-up are
not among them, and nothing else is sent before: each connection waits until all are open. The
scenario push counts messages received, broadcast those published, and storm handshakes begun:
with --ramp those of the ramp come on top. Each --shard has its part of N; in the scenario
broadcast the first one publishes all.

In --message, --file and --on-open, these are replaced, unless there is --literal:
  {{seq}}         the number of the message on its connection, from 0, with
                  those of --on-open
  {{connection}}  the number of the connection, from 0
  {{id}}          a number that no other message of the load has
  {{random}}      16 random hexadecimal digits
  {{now}}         milliseconds since 1970
  {{stamp}}       what a broadcast is recognised by; its messages need it

Examples:
  towline bench ws://127.0.0.1:9001/
  towline bench ws://127.0.0.1:9001/ --connections 500 --ramp 5s --duration 30s
  towline bench ws://127.0.0.1:9001/ --rate 5000 --size 1KiB --binary
  towline bench ws://127.0.0.1:9001/ --message '{\"id\":{{id}},\"at\":{{now}}}'
  towline bench ws://127.0.0.1:9001/ --scenario storm --connections 50
  towline bench ws://127.0.0.1:9001/ --scenario idle --connections 500 --duration 5m
  towline bench ws://127.0.0.1:9002/ --protocol towline.topics.v1 --scenario broadcast \\
    --on-open '{\"subscribe\":\"a\"}' --message '{\"publish\":\"a\",\"data\":\"{{stamp}}\"}'
  towline bench ws://127.0.0.1:9001/ --messages 10000 --in-flight 16 --json=before.json
  towline bench ws://127.0.0.1:9001/ --messages 10000 --in-flight 16 --json=after.json
  towline bench --compare before.json after.json
  towline bench ws://127.0.0.1:9001/ --duration 2s --shard 1/2 --json=1.json & \\
    towline bench ws://127.0.0.1:9001/ --duration 2s --shard 2/2 --json=2.json; wait
  towline bench --merge 1.json 2.json --report report.html";

/// Measure how a WebSocket server does under load.
#[derive(Debug, Args)]
#[command(after_help = BENCH_CODES, after_long_help = in_paragraphs(&format!("{DETAILS}\n\n{METHOD}\n\n{BENCH_CODES}")))]
pub(crate) struct Options {
    /// The server's URL, such as ws://127.0.0.1:9001/chat; ws:// can be omitted
    // The default is never used: it stands in for the URL where there is no run.
    #[arg(
        value_parser = url, required_unless_present_any = ["compare", "merge"],
        default_value = "ws://localhost/", hide_default_value = true,
    )]
    pub(crate) url: String,

    /// What connections do
    #[arg(long, value_enum, default_value = "echo")]
    pub(crate) scenario: Scenario,

    /// How many connections to open
    #[arg(
        short, long, value_name = "COUNT", default_value = "10",
        value_parser = clap::value_parser!(u64).range(1..=1_000_000),
    )]
    pub(crate) connections: u64,

    /// Open them evenly over this time
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub(crate) ramp: Duration,

    /// The most connections that are being opened at a time
    #[arg(
        long, value_name = "COUNT", default_value = "100",
        value_parser = clap::value_parser!(u64).range(1..=100_000),
    )]
    pub(crate) connecting: u64,

    /// How long to measure, after the ramp and the warm-up [default: 10s, or until all --messages are
    /// answered]
    #[arg(short, long, value_name = "TIME", value_parser = some_duration)]
    pub(crate) duration: Option<Duration>,

    /// Load the server for this long before measuring
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub(crate) warm_up: Duration,

    /// Send this many messages over all connections together, then end; in the scenario storm this many
    /// handshakes. See --help for what counts
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) messages: Option<u64>,

    /// How long to wait for answers that are missing: at the end, and with --messages whenever none come
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) drain: Duration,

    /// How many messages of a connection can be unanswered: a closed loop
    #[arg(
        short, long, value_name = "COUNT", default_value = "1",
        value_parser = clap::value_parser!(u64).range(1..=100_000),
    )]
    pub(crate) in_flight: u64,

    /// Send this many messages per second over all connections together, whatever the server does: an
    /// open loop. In the scenario storm it is the rate of handshakes
    #[arg(short, long, value_name = "RATE", value_parser = rate, conflicts_with = "in_flight")]
    pub(crate) rate: Option<f64>,

    /// The size of messages, which are random letters, or bytes with --binary [default: 64B]
    #[arg(short, long, value_name = "SIZE", value_parser = message_size, conflicts_with_all = ["message", "file"])]
    pub(crate) size: Option<usize>,

    /// Send this. Repeat it for messages to send in turn
    #[arg(short, long, value_name = "TEXT", conflicts_with = "file")]
    pub(crate) message: Vec<String>,

    /// Send the lines of this file in turn, each as a message
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Send this on each connection when it is open, such as a subscription. Repeat it for more
    #[arg(long, value_name = "TEXT")]
    pub(crate) on_open: Vec<String>,

    /// Replace nothing in --message, --file and --on-open
    #[arg(long)]
    pub(crate) literal: bool,

    /// Send text messages, which is the default
    #[arg(long, conflicts_with = "binary")]
    text: bool,

    /// Send binary messages
    #[arg(short, long)]
    pub(crate) binary: bool,

    /// Ignore this many messages at the start of each connection, such as a greeting
    #[arg(long, value_name = "COUNT", default_value = "0")]
    pub(crate) skip: u64,

    /// Take any message for the answer, without comparing it
    #[arg(long)]
    pub(crate) any_answer: bool,

    /// The threads that generate load [default: one for each core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) threads: Option<u64>,

    /// Generate part I of N parts of the load, so that N processes share it
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub(crate) shard: Option<Shard>,

    /// Print the results as JSON in place of the table, or write them to a file
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub(crate) json: Option<PathBuf>,

    /// Show nothing while it runs
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) handshake: Handshake,

    /// The version of HTTP for the handshake, see `towline connect --help`
    #[arg(long, value_name = "1.1|2|auto", default_value = "1.1", value_parser = http_version)]
    pub(crate) http_version: HttpVersion,

    #[command(flatten)]
    pub(crate) connection: PerConnection,

    /// How long connecting may take: name lookup, transport, proxy, TLS and handshake
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = some_duration)]
    connect_timeout: Duration,

    /// How long the server may take to answer the close frame
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub(crate) close_timeout: Duration,

    // Last, since their headings apply to all options after them.
    #[command(flatten)]
    pub(crate) after: After,

    #[command(flatten)]
    pub(crate) network: Network,
}

impl Options {
    /// A client with these options, and with the TLS that they ask for.
    pub(crate) fn client(&self, tls: Option<Tls>) -> Result<Client, Failure> {
        let config = self.connection.of(Config::client(), Deflate::client());
        let opening = Opening {
            protocols: self.handshake.protocol.iter().map(String::as_str).collect(),
            origin: self.handshake.origin.as_deref(),
            headers: self.handshake.headers()?,
            http_version: self.http_version,
            timeout: self.connect_timeout,
        };
        self.network.client(tls, config.close_timeout(self.close_timeout), opening)
    }

    /// The URL without user, password, query and fragment, which can have secrets.
    pub(crate) fn shown_url(&self) -> String {
        shown(&self.url)
    }
}

/// The URL without user, password, query and fragment.
fn shown(url: &str) -> String {
    let without_fragment = url.split('#').next().unwrap_or_default();
    let target = without_fragment.parse().ok().and_then(|uri| Target::from_uri(&uri));
    // The library takes other URLs as well. Where their secrets are is its business.
    target.map_or_else(|| "a URL beyond ASCII".to_owned(), |target| secrets::target(&target))
}

/// The largest message that can be sent.
const LARGEST: usize = 1 << 30;

fn message_size(text: &str) -> Result<usize, String> {
    size_within(text, LARGEST)
}

/// The fastest rate that can be asked for.
const FASTEST: f64 = 1e9;

fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).trim();
    let (number, factor) = match number.strip_suffix('k') {
        Some(number) => (number, 1000.0),
        None => (number, 1.0),
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let rate: Option<f64> = number.parse().ok().filter(|_| is_plain);
    match rate.map(|rate| rate * factor) {
        Some(rate) if rate > FASTEST => Err("too fast: the limit is 1000000000/s".to_owned()),
        Some(rate) if rate >= 0.001 => Ok(rate),
        Some(_) => Err("too slow: the limit is 0.001/s".to_owned()),
        None => Err("write messages per second, such as 5000, 5k or 0.5/s".to_owned()),
    }
}

fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/');
    let parts = parts.and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    match parts {
        Some((index, count)) if 1 <= index && index <= count => Ok(Shard { index, count }),
        _ => Err("write the part and how many there are, from 1/4 to 4/4".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_url_are_left_out() {
        for (url, shown) in [
            ("ws://user:s3cret@host:9001/a", "ws://host:9001/a"),
            ("wss://host/a?token=s3cret", "wss://host/a?(hidden)"),
            ("ws://user:s3cret@host/#s3cret", "ws://host/"),
            ("ws://127.0.0.1:9871/@room/chat", "ws://127.0.0.1:9871/@room/chat"),
            ("ws://user:s3cret@b\u{fc}cher/", "a URL beyond ASCII"),
        ] {
            assert_eq!(super::shown(url), shown, "{url}");
        }
    }

    #[test]
    fn a_rate_is_messages_per_second() {
        for (text, expected) in [("5000", 5000.0), ("5k", 5000.0), ("0.5/s", 0.5), ("2k/s", 2000.0)]
        {
            assert_eq!(rate(text), Ok(expected), "{text}");
        }
        for text in ["", "fast", "-1", "1e5", "inf", "NaN", "5/min", "0", "2000000k"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_shard_is_one_of_several() {
        assert_eq!(shard("2/4"), Ok(Shard { index: 2, count: 4 }));
        for text in ["", "2", "0/4", "5/4", "a/b", "1/0", "-1/4"] {
            assert!(shard(text).unwrap_err().contains("1/4"), "{text}");
        }
    }
}
