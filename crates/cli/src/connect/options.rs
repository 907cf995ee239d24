//! The options of `towline connect`, and the client they describe.

use std::io::IsTerminal as _;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::{HeaderName, HeaderValue};
use towline::{Client, HttpVersion};

use crate::connect::background::is_in_background;
use crate::connect::display::Display;
use crate::connect::tape::Tape;
use crate::connect::wait::Wait;
use crate::exit::{CONNECT_CODES, Exit, Failure};
use crate::network::{self, Network, Opening};
use crate::quantity::{Switch, duration, duration_or_off, level, size, some, some_duration};
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
    after_long_help = format!("{DETAILS}\n\n{CONNECT_CODES}\n\n{EXAMPLES}"),
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

    /// Send one message, which is the whole input unless --message gives it. Print one message, then
    /// close
    #[arg(short = '1', long, conflicts_with_all = ["wait", "count"])]
    pub(crate) once: bool,

    /// Close after receiving this many messages, and print no more, even if the input goes on
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = some, conflicts_with = "wait")]
    pub(crate) count: Option<NonZeroU64>,

    /// Close when the input has been sent and nothing was received for this long
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

    /// Offer this subprotocol. Repeat it for more, most preferred first
    #[arg(short, long, value_name = "NAME", value_parser = protocol)]
    protocol: Vec<String>,

    /// Send this Origin, as a page of it would
    #[arg(short, long)]
    origin: Option<String>,

    /// Send this header with the handshake. Repeat it for more
    // Parsed later: clap's errors show the value, which may be a password.
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,

    /// The largest message to receive
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    max_message: usize,

    /// The largest frame to receive [default: the --max-message size]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_frame: Option<usize>,

    /// The version of HTTP for the handshake: 2 is an error if the server takes no WebSockets over
    /// HTTP/2, auto falls back to 1.1. Over ws://, 2 needs a server that expects it, and auto is 1.1
    #[arg(long, value_name = "1.1|2|auto", default_value = "1.1", value_parser = http_version)]
    http_version: HttpVersion,

    /// Compress messages if the server agrees, at this level from 1 (fast) to 9 (small)
    #[arg(
        long,
        value_name = "LEVEL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "3",
        value_parser = level,
    )]
    compress: Option<u8>,

    /// Ping a server that has been silent for this long, and disconnect 10 s later if it stays
    /// silent
    #[arg(long, value_name = "TIME|off", default_value = "20s", value_parser = duration_or_off)]
    keepalive: Switch<Duration>,

    /// How long connecting may take in all: name lookup, transport, proxy, TLS and handshake
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    connect_timeout: Duration,

    /// How long the server may take to answer the close frame
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    close_timeout: Duration,

    /// Give up with exit code 124 if not finished within this time
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
    /// The client with these options.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let config =
            network::config(self.max_message, self.keepalive, self.close_timeout, self.compress);
        let config = match self.max_frame {
            Some(frame) => config.max_received_frame_size(frame),
            None => config,
        };
        let opening = Opening {
            protocols: self.protocols(),
            origin: self.origin.as_deref(),
            headers: headers(&self.header)?,
            http_version: self.http_version,
            timeout: self.connect_timeout,
        };
        Ok(self.network.client(config, opening)?.keep_request(self.verbose || self.json))
    }

    /// The subprotocols to offer.
    fn protocols(&self) -> Vec<&str> {
        let mut protocols: Vec<_> = self.protocol.iter().map(String::as_str).collect();
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

pub(crate) fn url(text: &str) -> Result<String, String> {
    let text = text.trim();
    let start = text.to_ascii_lowercase();
    let has_scheme = ["ws:", "wss:", "http:", "https:"]
        .iter()
        .any(|scheme| start.strip_prefix(scheme).is_some_and(|rest| rest.starts_with(['/', '\\'])));
    let other_scheme =
        text.split_once("://").is_some_and(|(name, _)| !name.contains(['/', '?', '#']));
    Ok(match has_scheme || other_scheme {
        true => text.to_owned(),
        false => format!("ws://{text}"),
    })
}

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

pub(crate) fn http_version(text: &str) -> Result<HttpVersion, String> {
    match text {
        "1.1" => Ok(HttpVersion::Http1),
        "2" => Ok(HttpVersion::Http2),
        "auto" => Ok(HttpVersion::Auto),
        _ => Err("write 1.1, 2 or auto".to_owned()),
    }
}

pub(crate) fn protocol(text: &str) -> Result<String, String> {
    towline::Subprotocol::new(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// Parses the values of `--header`.
pub(crate) fn headers(texts: &[String]) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let read = |(index, text): (usize, &String)| {
        header(text).map_err(|why| {
            let which =
                if texts.len() > 1 { format!(" (no. {})", index + 1) } else { String::new() };
            Failure::new(Exit::Usage, format!("--header{which}: {why}"))
        })
    };
    texts.iter().enumerate().map(read).collect()
}

/// Parses a header. The error does not show the text, which may be a password.
pub(crate) fn header(text: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let (name, value) =
        text.split_once(':').ok_or("the colon is missing: write it as 'Name: value'")?;
    let name = name.trim().parse().map_err(|_| {
        "the text before the colon is not a header name: write it as 'Name: value', with letters, \
         digits and hyphens in the name"
    })?;
    let value = HeaderValue::from_str(value.trim())
        .map_err(|_| "the value has a character that a header can't have")?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_scheme_is_one_of_a_websocket() {
        assert_eq!(url("localhost:9001/feed").unwrap(), "ws://localhost:9001/feed");
        assert_eq!(url("wss://example.com").unwrap(), "wss://example.com");
        assert_eq!(url(" localhost:9001 ").unwrap(), "ws://localhost:9001");
        assert_eq!(url("localhost/?next=http://x").unwrap(), "ws://localhost/?next=http://x");
        assert_eq!(url("htp://x").unwrap(), "htp://x");
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let (name, value) = header("X-Room:  7: b ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-room", "7: b"));
        assert!(header("no colon").unwrap_err().contains("'Name: value'"));
        assert!(header("two words: 7").unwrap_err().contains("before the colon"));
        assert!(header("X-Room: 7\r\nX-Evil: 1").is_err());
    }

    #[test]
    fn a_version_of_http_is_one_of_three() {
        assert_eq!(http_version("1.1"), Ok(HttpVersion::Http1));
        assert_eq!(http_version("2"), Ok(HttpVersion::Http2));
        assert_eq!(http_version("auto"), Ok(HttpVersion::Auto));
        assert_eq!(http_version("1"), Err("write 1.1, 2 or auto".to_owned()));
    }

    #[test]
    fn waiting_has_a_number_or_no_end() {
        assert_eq!(wait("3"), Ok(Switch::On(3)));
        assert_eq!(wait("forever"), Ok(Switch::Off));
        assert!(wait("-1").is_err());
    }
}
