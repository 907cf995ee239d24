//! The options of `towline connect`, and the client they describe.

use std::io::IsTerminal as _;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use towline::{Client, Config, Deflate, HttpVersion};

use crate::connect::background::is_in_background;
use crate::connect::display::Display;
use crate::connect::tape::Tape;
use crate::connect::wait::Wait;
use crate::exit::{CONNECT_CODES, Exit, Failure};
use crate::help::in_paragraphs;
use crate::network::{Network, Opening};
use crate::options::{Handshake, PerConnection, http_version, url};
use crate::quantity::{Switch, duration, some, some_duration};
use crate::topics::{MAX_NAME, PROTOCOL};

/// How the input is used, for `--help`.
const DETAILS: &str = "\
On a terminal it is interactive: each line is sent as a text message, and received messages appear
above the prompt, JSON in colours. /help lists the commands, such as /ping, /close 4001 bye,
/binary FILE and /show.

In the background of a shell (towline connect … &) it only prints messages, until it is ended.

Otherwise it is a filter: each line of the input is sent as a text message, and each received message
becomes a line of the output. At the end of the input it closes the connection, and prints messages
until the server's close frame; --wait waits for messages before closing. With --binary the whole
input is one binary message, and received messages are written with nothing between them. With --json
each line of the output is an event. --once sends one message and prints one answer.";

/// Commands that can be tried, for `--help`. At 9002 is a server with --mode topics.
const EXAMPLES: &str = "\
Examples:
  towline connect ws://127.0.0.1:9001/
  towline connect ws://127.0.0.1:9001/ --once --message hello
  printf 'one\\ntwo\\n' | towline connect ws://127.0.0.1:9001/
  towline connect ws://127.0.0.1:9001/ --binary < photo.jpg > copy.jpg
  towline connect ws://127.0.0.1:9001/ --wait forever --json --time < /dev/null
  towline connect ws://127.0.0.1:9001/ --init subscriptions.txt --until-idle 2s < /dev/null
  towline connect ws://127.0.0.1:9001/ --binary --message hello --record hello.jsonl
  towline connect ws://127.0.0.1:9001/ --replay hello.jsonl --speed max --compare
  towline connect wss://localhost:9001/ --ca root.pem --verbose < /dev/null
  towline connect wss://example.com/ --proxy http://127.0.0.1:3128 --once --message hello
  towline connect wss://example.com/feed --wait forever --reconnect < /dev/null
  towline connect ws://127.0.0.1:9002/ --subscribe room/7 --reconnect
  towline connect ws://127.0.0.1:9002/ --publish room/7 --message 'ship ahoy'";

/// Talk to a WebSocket server: interactively on a terminal, otherwise as a filter.
#[derive(Debug, Args)]
#[command(
    after_help = format!("{CONNECT_CODES}\n\n{EXAMPLES}"),
    after_long_help = in_paragraphs(&format!("{DETAILS}\n\n{CONNECT_CODES}\n\n{EXAMPLES}")),
)]
pub(crate) struct Options {
    /// The server's URL, such as ws://127.0.0.1:9001/chat; ws:// can be omitted
    #[arg(value_parser = url)]
    pub(crate) url: String,

    /// Send this text instead of reading the input. Repeat it for more
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Vec<String>,

    /// Subscribe to this topic of `towline serve --mode topics`, again on each connection of
    /// --reconnect. Repeat it for more. Received messages appear as TOPIC: DATA
    #[arg(short, long, value_name = "TOPIC", value_parser = topic, conflicts_with = "binary")]
    pub(crate) subscribe: Vec<String>,

    /// Publish each line of the input, or each --message, to this topic of `towline serve --mode
    /// topics`: as JSON if it is, otherwise as a string
    #[arg(long, value_name = "TOPIC", value_parser = topic, conflicts_with = "binary")]
    pub(crate) publish: Option<String>,

    /// Close only after receiving this many messages [default: 0, or forever with --subscribe and
    /// without --publish]
    #[arg(short, long, value_name = "COUNT|forever", value_parser = wait)]
    pub(crate) wait: Option<Switch<u64>>,

    /// Send one message, which is the whole input unless one --message gives it. Print one message, then
    /// close
    #[arg(short = '1', long, conflicts_with_all = ["wait", "count"])]
    pub(crate) once: bool,

    /// Close after receiving this many messages, and print no more, even if the input goes on
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = some, conflicts_with = "wait")]
    pub(crate) count: Option<NonZeroU64>,

    /// Close when the input has been sent and nothing was received for this long [default: do not wait
    /// for silence]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) until_idle: Option<Duration>,

    /// Begin each connection with the messages in this file, one on each line, such as subscriptions.
    /// Lines can be /binary FILE, /hex 00 ff or /base64 AP8=
    #[arg(long, value_name = "FILE")]
    pub(crate) init: Option<PathBuf>,

    /// Connect again when the connection is lost or can't be made, after delays of up to 30 s. Messages
    /// of which nothing was sent are sent on the next connection; --wait counts those of all connections
    #[arg(long)]
    pub(crate) reconnect: bool,

    /// Send binary messages: each --message, or the whole input as one. Write received messages as
    /// they are, with nothing between them
    #[arg(short, long)]
    pub(crate) binary: bool,

    /// Print a line of JSON for each event: open, message, ping, pong, close, error, difference
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    handshake: Handshake,

    /// The version of HTTP for the handshake: 2 is an error if the server takes no WebSockets over
    /// HTTP/2, auto falls back to 1.1. Over ws://, 2 needs a server that expects it, and auto is 1.1
    #[arg(long, value_name = "1.1|2|auto", default_value = "1.1", value_parser = http_version)]
    http_version: HttpVersion,

    #[command(flatten)]
    connection: PerConnection,

    /// How long connecting may take in all: name lookup, transport, proxy, TLS and handshake
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    connect_timeout: Duration,

    /// How long the server may take to answer the close frame
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    close_timeout: Duration,

    /// Give up with exit code 124 if not finished within this time [default: no limit]
    #[arg(short, long, value_name = "TIME", value_parser = some_duration)]
    pub(crate) timeout: Option<Duration>,

    /// Print only messages and errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print on standard error both sides of the handshake, what was negotiated, the server's
    /// certificates, a refusing server's response, pings and pongs, and how the connection ended
    #[arg(short, long)]
    pub(crate) verbose: bool,

    // Last, since their headings apply to all options after them.
    #[command(flatten)]
    pub(crate) display: Display,

    #[command(flatten)]
    pub(crate) tape: Tape,

    #[command(flatten)]
    pub(crate) network: Network,
}

impl Options {
    /// Checks what the options say together.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.message.len() {
            count if self.once && count > 1 => {
                let text =
                    format!("--once sends one message, and --message is given {count} times");
                Err(Failure::new(Exit::Usage, text))
            }
            _ => Ok(()),
        }
    }

    /// The client with these options.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let config = self.connection.of(Config::client(), Deflate::client());
        let config = config.close_timeout(self.close_timeout);
        let opening = Opening {
            protocols: self.protocols(),
            origin: self.handshake.origin.as_deref(),
            headers: self.handshake.headers()?,
            http_version: self.http_version,
            timeout: self.connect_timeout,
        };
        let client = self.network.client(self.network.tls()?, config, opening)?;
        Ok(client.keep_request(self.verbose || self.json))
    }

    /// The subprotocols to offer.
    fn protocols(&self) -> Vec<&str> {
        let mut protocols: Vec<_> = self.handshake.protocol.iter().map(String::as_str).collect();
        let is_topical = !self.subscribe.is_empty() || self.publish.is_some();
        if is_topical && !protocols.iter().any(|name| name.eq_ignore_ascii_case(PROTOCOL)) {
            protocols.insert(0, PROTOCOL);
        }
        protocols
    }

    /// Whether a user is at the terminal.
    pub(crate) fn is_interactive(&self) -> bool {
        let is_script = self.json
            || self.binary
            || self.once
            || !self.message.is_empty()
            || self.only_waits()
            || self.tape.replay.is_some();
        !is_script
            && std::io::stdin().is_terminal()
            && std::io::stdout().is_terminal()
            && !is_in_background()
    }

    /// Whether to read the input. Waiting for messages at a terminal needs no input, and a program in the
    /// background that reads from its terminal is stopped.
    pub(crate) fn reads_input(&self) -> bool {
        let waits_at_terminal = self.only_waits() && std::io::stdin().is_terminal();
        self.message.is_empty() && !waits_at_terminal && !is_in_background()
    }

    /// Whether an option says what to wait for.
    fn only_waits(&self) -> bool {
        self.wait.is_some() || self.count.is_some() || self.until_idle.is_some()
    }

    /// What to wait for before closing. A replay waits for as many messages as were recorded.
    pub(crate) fn awaited(&self, recorded: Option<u64>) -> Wait {
        let silence = self.until_idle;
        let (is_exact, sends_all) = (false, true);
        let wait =
            |wanted, option| Wait { wanted, option, is_exact, sends_all, silence, received: 0 };
        if self.once {
            return Wait { is_exact: true, ..wait(Switch::On(1), Some("--once")) };
        }
        if let Some(count) = self.count {
            let wait = wait(Switch::On(count.get()), Some("--count"));
            return Wait { is_exact: true, sends_all: false, ..wait };
        }
        if let Some(wanted) = self.wait {
            return wait(wanted, Some("--wait"));
        }
        if let Some(recorded) = recorded {
            let silence = silence.or(Some(REPLAY_SILENCE));
            return Wait { silence, ..wait(Switch::On(recorded), None) };
        }
        // A subscriber that publishes nothing is there to receive.
        let subscribes = !self.subscribe.is_empty() && self.publish.is_none();
        // So is a program in the background, unless it has something to send.
        let only_receives = subscribes || self.message.is_empty() && is_in_background();
        match only_receives || silence.is_some() {
            true => wait(Switch::Off, None),
            false => wait(Switch::On(0), None),
        }
    }
}

/// How long a replay waits for messages that the recording has.
const REPLAY_SILENCE: Duration = Duration::from_secs(5);

fn wait(text: &str) -> Result<Switch<u64>, String> {
    if text == "forever" {
        return Ok(Switch::Off);
    }
    text.parse()
        .map(Switch::On)
        .map_err(|_| "write a whole number, such as 2, or forever".to_owned())
}

fn topic(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("the name of a topic is not empty".to_owned()),
        length if length > MAX_NAME => Err(format!(
            "the name of a topic has at most {MAX_NAME} bytes, and this one has {length}"
        )),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_has_a_number_or_no_end() {
        assert_eq!(wait("3"), Ok(Switch::On(3)));
        assert_eq!(wait("forever"), Ok(Switch::Off));
        assert!(wait("-1").is_err());
    }
}
