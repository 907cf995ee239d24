//! The limits of `towline serve`: for messages, for what a client sends, and for all connections.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use clap::{Args, ValueEnum};
use towline::{Config, Quotas, Rate, ServerBuilder, WhenTooFast};

use crate::exit::{self, Exit, Failure};
use crate::quantity::{Switch, above_zero, size, size_or_off};

/// What is received, and from how many.
#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// The most frames in a message to receive
    #[arg(long, value_name = "COUNT", default_value = "65536", value_parser = above_zero)]
    max_fragments: NonZeroUsize,

    /// The most pings and pongs to receive per second
    #[arg(long, value_name = "COUNT|off", default_value = "10000", value_parser = rate)]
    max_control_rate: Switch<NonZeroU32>,

    /// The most messages to receive per second on a connection
    #[arg(long, value_name = "COUNT|off", default_value = "off", value_parser = many)]
    max_message_rate: Switch<NonZeroU64>,

    /// The most bytes to receive per second on a connection
    #[arg(long, value_name = "SIZE|off", default_value = "off", value_parser = bytes)]
    max_byte_rate: Switch<NonZeroU64>,

    /// What to do about a client that sends faster: slow-down stops reading, close closes with 1008
    /// [default: slow-down]
    #[arg(long, value_name = "WHAT")]
    when_too_fast: Option<TooFast>,

    /// The most connections of all clients; more get 503
    #[arg(long, value_name = "COUNT|off", default_value = "off", value_parser = count)]
    max_connections: Switch<NonZeroUsize>,

    /// The most connections of one IPv4 address or IPv6 /64 network; more get 429
    #[arg(long, value_name = "COUNT|off", default_value = "off", value_parser = count)]
    max_connections_per_address: Switch<NonZeroUsize>,

    /// The most handshakes per second of one IPv4 address or IPv6 /64 network; more get 429
    #[arg(long, value_name = "COUNT|off", default_value = "off", value_parser = many)]
    max_handshake_rate: Switch<NonZeroU64>,

    /// The most handshakes of one IPv4 address or IPv6 /64 network at once; more are dropped without an
    /// answer
    #[arg(long, value_name = "COUNT|off", default_value = "off", value_parser = count)]
    max_handshakes_per_address: Switch<NonZeroUsize>,

    /// The most memory to hold for the messages of all clients; those that hold most are closed with
    /// 1013
    #[arg(long, value_name = "SIZE|off", default_value = "off", value_parser = size_or_off)]
    max_buffered_bytes: Switch<NonZeroUsize>,
}

impl Limits {
    /// Refuses options that do not go together.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let has_rate = self.max_message_rate.on().is_some() || self.max_byte_rate.on().is_some();
        if self.when_too_fast.is_some() && !has_rate {
            let message = "--when-too-fast needs --max-message-rate or --max-byte-rate";
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(())
    }

    /// The configuration with the limits of a connection.
    pub(crate) fn of_connection(&self, config: Config) -> Config {
        config
            .max_received_fragments(self.max_fragments)
            .max_received_control_rate(self.max_control_rate.on())
    }

    /// The most handshakes of one client at once.
    pub(crate) fn handshakes_per_address(&self) -> Option<usize> {
        self.max_handshakes_per_address.on().map(NonZeroUsize::get)
    }

    /// The server with the limits of all connections.
    pub(crate) fn of_server(&self, server: ServerBuilder) -> ServerBuilder {
        server
            // Clones of the builder, one for each thread, have these limits together.
            .quotas(Quotas::new())
            .max_connections(self.max_connections.on().map(NonZeroUsize::get))
            .max_connections_per_address(
                self.max_connections_per_address.on().map(NonZeroUsize::get),
            )
            .max_handshake_rate(self.max_handshake_rate.on().map(per_second))
            .max_buffered_bytes(self.max_buffered_bytes.on().map(NonZeroUsize::get))
            .max_message_rate(self.max_message_rate.on().map(per_second))
            .max_byte_rate(self.max_byte_rate.on().map(per_second))
            .when_too_fast(match self.when_too_fast {
                Some(TooFast::Close) => WhenTooFast::Close,
                Some(TooFast::SlowDown) | None => WhenTooFast::SlowDown,
            })
    }
}

/// The library's [`WhenTooFast`], as a word.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum TooFast {
    SlowDown,
    Close,
}

/// What only `towline serve` can be given.
const OPTIONS: [(&str, &str); 9] = [
    ("max_received_fragments", "--max-fragments"),
    ("max_received_control_rate", "--max-control-rate"),
    ("max_message_rate", "--max-message-rate"),
    ("max_byte_rate", "--max-byte-rate"),
    ("max_connections", "--max-connections"),
    ("max_connections_per_address", "--max-connections-per-address"),
    ("max_handshake_rate", "--max-handshake-rate"),
    ("max_handshakes_per_address", "--max-handshakes-per-address"),
    ("max_buffered_bytes", "--max-buffered-bytes"),
];

/// The message, with the options of `towline serve` in place of the library's.
pub(crate) fn in_options(message: String) -> String {
    exit::in_options_of(&OPTIONS, message)
}

fn per_second(count: NonZeroU64) -> Rate {
    Rate::per_second(count.get())
}

fn rate(text: &str) -> Result<Switch<NonZeroU32>, String> {
    Switch::read(text, |text| {
        text.parse().map_err(|_| "write a whole number above zero, such as 10000".to_owned())
    })
}

fn many(text: &str) -> Result<Switch<NonZeroU64>, String> {
    Switch::read(text, |text| {
        text.parse().map_err(|_| "write a whole number above zero, such as 100".to_owned())
    })
}

fn count(text: &str) -> Result<Switch<NonZeroUsize>, String> {
    Switch::read(text, above_zero)
}

fn bytes(text: &str) -> Result<Switch<NonZeroU64>, String> {
    Switch::read(text, |text| {
        let bytes = u64::try_from(size(text)?).unwrap_or(u64::MAX);
        NonZeroU64::new(bytes).ok_or_else(|| "write a size above zero".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use towline::Server;

    use crate::options::PerConnection;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        connection: PerConnection,
    }

    fn parse(arguments: &[&str]) -> Limits {
        Command::try_parse_from([&["serve"], arguments].concat()).unwrap().limits
    }

    #[test]
    fn what_the_server_says_names_options_that_can_be_given() {
        for (library, program) in [
            ("(max_connections)", "(--max-connections)"),
            ("(max_connections_per_address)", "(--max-connections-per-address)"),
            ("(max_handshake_rate)", "(--max-handshake-rate)"),
            ("(max_message_rate)", "(--max-message-rate)"),
            ("(max_byte_rate)", "(--max-byte-rate)"),
            ("(max_buffered_bytes)", "(--max-buffered-bytes)"),
            ("(max_received_fragments)", "(--max-fragments)"),
            ("(max_received_control_rate)", "(--max-control-rate)"),
            ("(max_received_message_size)", "(--max-message)"),
        ] {
            let said = in_options(format!("more than 5 things {library}"));
            assert_eq!(said, format!("more than 5 things {program}"));
            let option = program.trim_matches(['(', ')']);
            assert!(Command::try_parse_from(["serve", option, "5"]).is_ok(), "{option}");
        }
    }

    #[test]
    fn memory_is_limited_if_asked() {
        assert_eq!(parse(&[]).max_buffered_bytes.on(), None);
        let asked = parse(&["--max-buffered-bytes=256MiB"]);
        assert_eq!(asked.max_buffered_bytes.on().map(NonZeroUsize::get), Some(256 << 20));
        let server = asked.of_server(Server::builder()).build();
        assert_eq!(server.stats().buffered_bytes, Some(0));
    }
}
