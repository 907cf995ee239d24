//! Options that several commands have, and what they mean for all of them.

use std::time::Duration;

use clap::Args;
use http::{HeaderName, HeaderValue};
use towline::{Compression, Config, Deflate, HttpVersion, Keepalive};

use crate::exit::{Exit, Failure};
use crate::quantity::{Switch, duration_or_off, level, size};

/// What a client asks for in its handshake.
#[derive(Debug, Args)]
pub(crate) struct Handshake {
    /// Offer this subprotocol. Repeat it for more, most preferred first
    #[arg(short, long, value_name = "NAME", value_parser = protocol)]
    pub(crate) protocol: Vec<String>,

    /// Send this Origin, as a page of it would
    #[arg(short, long)]
    pub(crate) origin: Option<String>,

    /// Send this header with the handshake. Repeat it for more
    // Parsed later: clap's errors show the value, which may be a password.
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,
}

impl Handshake {
    /// The headers to send.
    pub(crate) fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let count = self.header.len();
        let read = |(index, text): (usize, &String)| {
            header(text).map_err(|why| {
                let which = if count > 1 { format!(" (no. {})", index + 1) } else { String::new() };
                Failure::new(Exit::Usage, format!("--header{which}: {why}"))
            })
        };
        self.header.iter().enumerate().map(read).collect()
    }
}

/// What holds on a connection of a client or a server.
#[derive(Debug, Args)]
pub(crate) struct PerConnection {
    /// The largest message to receive
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    max_message: usize,

    /// The largest frame to receive; browsers send each message in one [default: the --max-message
    /// size]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_frame: Option<usize>,

    /// Compress messages if the other end agrees, at this level from 1 (fast) to 9 (small) [default: no
    /// compression; 3 without a level]
    #[arg(
        long,
        value_name = "LEVEL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "3",
        value_parser = level,
    )]
    pub(crate) compress: Option<u8>,

    /// Ping the other end when it has been silent for this long
    #[arg(long, value_name = "TIME|off", default_value = "20s", value_parser = duration_or_off)]
    keepalive: Switch<Duration>,

    /// Disconnect when the other end stays silent for this long after the ping
    #[arg(long, value_name = "TIME|off", default_value = "10s", value_parser = duration_or_off)]
    grace: Switch<Duration>,
}

impl PerConnection {
    /// The configuration of a client or of a server with these options; `deflate` is its compression.
    pub(crate) fn of(&self, config: Config, deflate: Deflate) -> Config {
        let keepalive =
            self.keepalive.on().map(|interval| Keepalive::every(interval).grace(self.grace.on()));
        let config = config
            .max_received_message_size(self.max_message)
            .keepalive(keepalive)
            .compression(self.compress.map(|level| Compression::from(deflate.level(level))));
        match self.max_frame {
            Some(frame) => config.max_received_frame_size(frame),
            None => config,
        }
    }
}

/// Reads a URL, which can be without its scheme.
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

/// Reads the name of a subprotocol.
pub(crate) fn protocol(text: &str) -> Result<String, String> {
    towline::Subprotocol::new(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// Reads a version of HTTP for handshakes.
pub(crate) fn http_version(text: &str) -> Result<HttpVersion, String> {
    match text {
        "1.1" => Ok(HttpVersion::Http1),
        "2" => Ok(HttpVersion::Http2),
        "auto" => Ok(HttpVersion::Auto),
        _ => Err("write 1.1, 2 or auto".to_owned()),
    }
}

/// Parses a header. The error does not show the text, which may be a password.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
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
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        connection: PerConnection,
    }

    #[test]
    fn options_mean_the_same_for_clients_and_servers() {
        let parse = |arguments: &[&str]| {
            Command::try_parse_from([&["command"], arguments].concat()).unwrap().connection
        };
        let options = [
            "--max-message=1MiB",
            "--max-frame=2KiB",
            "--compress=7",
            "--keepalive=1m",
            "--grace=off",
        ];
        for (config, deflate) in
            [(Config::client(), Deflate::client()), (Config::server(), Deflate::server())]
        {
            let larger = config.clone().max_received_message_size(64 << 20);
            assert_eq!(parse(&[]).of(config.clone(), deflate), larger);
            let changed = config
                .clone()
                .max_received_message_size(1 << 20)
                .max_received_frame_size(2 << 10)
                .compression(deflate.level(7))
                .keepalive(Keepalive::every(Duration::from_secs(60)).grace(None));
            assert_eq!(parse(&options).of(config, deflate), changed);
        }
    }

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
}
