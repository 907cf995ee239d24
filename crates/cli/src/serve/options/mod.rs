//! The options of `towline serve`, and the server they describe.

mod admission;

pub(crate) mod limits;

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;
use towline::{Config, Deflate, Server, ServerBuilder};

use crate::exit::{Exit, Failure, SERVE_CODES};
use crate::help::in_paragraphs;
use crate::options::{PerConnection, protocol};
use crate::quantity::{Switch, above_zero, duration, size, size_or_off};
use crate::serve::handling::Handling;
use crate::serve::help::DETAILS;
use crate::serve::hosts::Hosts;
use crate::serve::metrics::ADDRESS as METRICS_ADDRESS;
use crate::serve::options::admission::Admission;
use crate::serve::options::limits::Limits;
use crate::serve::tls::TlsOptions;

/// Echo messages on every path, or do something else with them: broadcast, a chat, topics, a proxy to TCP,
/// a command for each connection. Beside it, serve a console page for browsers on plain GET /.
///
/// Open the printed address in a browser for the console. Pages of other origins are refused unless
/// --origin allows them. Programs other than browsers send no origin and are accepted.
#[derive(Debug, Args)]
#[command(after_help = SERVE_CODES, after_long_help = in_paragraphs(&format!("{DETAILS}\n\n{SERVE_CODES}")))]
pub(crate) struct Options {
    /// Listen on this address; port 0 chooses a free port. Repeat it for more addresses
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9001", value_parser = address)]
    pub(crate) listen: Vec<String>,

    /// Serve on this many threads that share only the port, the topics and the limits for all clients,
    /// each with the connections that it accepted [default: threads that share the work, one for each core]
    #[arg(long, value_name = "COUNT", value_parser = threads)]
    pub(crate) threads: Option<NonZeroUsize>,

    #[command(flatten)]
    admission: Admission,

    /// Speak this subprotocol if a client offers it, or any: the first one offered. Repeat it for
    /// more, most preferred first [default: none]
    #[arg(long, value_name = "NAME|any", value_parser = protocol)]
    pub(crate) protocol: Vec<String>,

    #[command(flatten)]
    connection: PerConnection,

    #[command(flatten)]
    pub(crate) limits: Limits,

    /// Send messages in frames of at most this size
    #[arg(long, value_name = "SIZE|off", default_value = "16KiB", value_parser = size_or_off)]
    fragment: Switch<NonZeroUsize>,

    /// How long a client may take to answer a close frame
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) close_timeout: Duration,

    /// How long a client may take for the TLS handshake and its request together
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) handshake_timeout: Duration,

    /// Use Nagle's algorithm, which delays small writes to combine them
    #[arg(long)]
    pub(crate) nagle: bool,

    /// Stop reading from a client while this much is queued to be sent to it
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = size)]
    high_water_mark: usize,

    /// Serve metrics for Prometheus at /metrics on this address, apart from the WebSockets: keep it
    /// from the public [without a value: 127.0.0.1:9464]
    #[arg(
        long,
        value_name = "HOST:PORT",
        num_args = 0..=1,
        default_missing_value = METRICS_ADDRESS,
        value_parser = address,
    )]
    pub(crate) metrics: Option<String>,

    /// Log connections and how they end to standard error; -vv logs echoed messages as well
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    // Last, since their headings apply to all options after them.
    #[command(flatten)]
    pub(crate) handling: Handling,

    #[command(flatten)]
    pub(crate) tls: TlsOptions,
}

impl Options {
    /// Refuses options that do not go together.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.limits.check()?;
        // Port 0 is another one each time.
        let mut listen = self.listen.iter().enumerate();
        let again = listen.find(|(index, address)| {
            !address.ends_with(":0") && self.listen[..*index].contains(address)
        });
        if let Some((_, address)) = again {
            let message = format!("--listen {address} is given twice");
            return Err(Failure::new(Exit::Usage, message));
        }
        self.handling.check(&self.protocol)
    }

    /// The server with these options, not yet listening.
    pub(crate) fn server(&self) -> Result<ServerBuilder, Failure> {
        let server = Server::builder()
            .config(self.config())
            .handshake_timeout(self.handshake_timeout)
            .nodelay(!self.nagle);
        self.admission.of_server(self.limits.of_server(server))
    }

    fn config(&self) -> Config {
        let config = self
            .connection
            .of(Config::server(), Deflate::server())
            .close_timeout(self.close_timeout)
            .send_high_water_mark(self.high_water_mark);
        let config = self.limits.of_connection(config);
        match self.fragment {
            Switch::Off => config.fragment_outgoing_messages(false),
            Switch::On(threshold) => config.fragmentation_threshold(threshold),
        }
    }

    /// The names by which browsers may ask for this server.
    pub(crate) fn hosts(&self) -> Hosts {
        self.admission.hosts(&self.listen)
    }
}

fn address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or_default();
    let is_port = port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_host = host.starts_with('[') && host.ends_with(']') || !host.contains(':');
    if host.is_empty() || !is_host || !is_port {
        return Err("write HOST:PORT, such as 127.0.0.1:9001, localhost:0 or [::1]:9001".into());
    }
    Ok(text.to_owned())
}

/// More threads than this are a mistake rather than a machine.
const THREADS_MAX: usize = 1024;

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let threads = above_zero(text)?;
    match threads.get() <= THREADS_MAX {
        true => Ok(threads),
        false => Err(format!("write a whole number up to {THREADS_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use towline::Keepalive;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn parse(arguments: &[&str]) -> Options {
        Command::try_parse_from([&["serve"], arguments].concat()).unwrap().options
    }

    #[test]
    fn the_defaults_are_the_librarys_but_for_what_is_received() {
        let expected = Config::server().max_received_message_size(64 << 20);
        assert_eq!(parse(&[]).config(), expected);
        assert_eq!(expected.max_received_frame_size, 64 << 20);
        let raised = parse(&["--max-message=128MiB"]).config();
        assert_eq!(raised.max_received_frame_size, 128 << 20);
        assert_eq!(parse(&[]).listen, ["127.0.0.1:9001"]);
    }

    #[test]
    fn every_option_reaches_the_configuration() {
        let options = parse(&[
            "--max-message=1MiB",
            "--max-frame=2KiB",
            "--max-fragments=7",
            "--max-control-rate=off",
            "--fragment=997",
            "--keepalive=1m",
            "--grace=off",
            "--close-timeout=2s",
            "--high-water-mark=1KiB",
            "--compress=7",
        ]);
        let expected = Config::server()
            .max_received_message_size(1 << 20)
            .max_received_frame_size(2048)
            .max_received_fragments(NonZeroUsize::new(7).unwrap())
            .max_received_control_rate(None)
            .fragmentation_threshold(NonZeroUsize::new(997).unwrap())
            .keepalive(Keepalive::every(Duration::from_secs(60)).grace(None))
            .close_timeout(Duration::from_secs(2))
            .send_high_water_mark(1024)
            .compression(Deflate::server().level(7));
        assert_eq!(options.config(), expected);
        assert_eq!(parse(&["--keepalive=off"]).config().keepalive, None);
        let compressed = Config::server().compression(Deflate::server()).compression;
        assert_eq!(parse(&["--compress"]).config().compression, compressed);
        assert!(!parse(&["--fragment=off"]).config().fragment_outgoing_messages);
    }

    #[test]
    fn metrics_are_off_and_on_loopback_unless_said_otherwise() {
        assert_eq!(parse(&[]).metrics, None);
        assert_eq!(parse(&["--metrics"]).metrics.as_deref(), Some("127.0.0.1:9464"));
        assert_eq!(parse(&["--metrics", "--nagle"]).metrics.as_deref(), Some("127.0.0.1:9464"));
        let chosen = ["--metrics", "[::1]:0"];
        assert_eq!(parse(&chosen).metrics.as_deref(), Some("[::1]:0"));
    }

    #[test]
    fn an_error_names_the_option_and_the_value() {
        for (option, value) in [
            ("--max-message", "12 pebbles"),
            ("--keepalive", "20"),
            ("--listen", "nowhere"),
            ("--listen", "::1:9001"),
            ("--metrics", "9464"),
            ("--origin", "app.example/path"),
            ("--host", "app.example:80"),
            ("--protocol", "two words"),
            ("--trust-proxy", "10.1.0.0/8"),
            ("--max-control-rate", "0"),
            ("--max-message-rate", "0"),
            ("--max-byte-rate", "fast"),
            ("--max-connections", "-1"),
            ("--max-connections-per-address", "0"),
            ("--max-handshake-rate", "1.5"),
            ("--max-buffered-bytes", "0"),
            ("--mode", "shout"),
            ("--max-subscriptions", "0"),
            ("--threads", "0"),
            ("--threads", "two"),
            ("--threads", "99999999"),
            ("--max-fragments", "0"),
            ("--compress", "10"),
            ("--fragment", "0"),
        ] {
            // An optional value has to be joined with an equals sign.
            let joined = format!("{option}={value}");
            let Err(error) = Command::try_parse_from(["serve", joined.as_str()]) else {
                panic!("{option} {value} was taken");
            };
            let error = error.to_string();
            assert!(error.contains(option) && error.contains(value), "{error}");
            let says = ["write ", " is not ", "possible values"];
            assert!(says.iter().any(|words| error.contains(words)), "{error}");
            // Error messages must not mention Rust types.
            assert!(!error.contains("type") && !error.contains("non-zero"), "{error}");
        }
    }

    #[test]
    fn options_without_effect_are_refused() {
        for (line, words) in [
            (&["--when-too-fast=close"][..], "--when-too-fast needs"),
            (&["--max-subscriptions=5"], "--max-subscriptions needs"),
            (
                &["--listen=[::1]:1", "--listen=a:2", "--listen=[::1]:1"],
                "--listen [::1]:1 is given twice",
            ),
        ] {
            let failure = parse(line).check().unwrap_err();
            assert!(failure.exit == Exit::Usage && failure.message.contains(words), "{failure}");
        }
        for line in [
            &["--when-too-fast=close", "--max-byte-rate=1MB"][..],
            &["--max-subscriptions=5", "--mode=topics"],
            &["--listen=a:0", "--listen=a:0"],
        ] {
            assert!(parse(line).check().is_ok(), "{line:?}");
        }
        for line in [
            &["--max-processes=5"][..],
            &["--exec-grace=5s"],
            &["--max-line=5"],
            &["--connect-timeout=5s"],
            &["--exec-env=TOWLINE_PATH=x", "--exec", "cat"],
        ] {
            let refused = Command::try_parse_from([&["serve"], line].concat()).map(|_| ());
            assert_eq!(refused.unwrap_err().exit_code(), 2, "{line:?}");
        }
    }
}
