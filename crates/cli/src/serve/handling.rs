//! The options that say what is done with connections.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::sync::Semaphore;

use crate::exit::{Exit, Failure};
use crate::quantity::{above_zero, duration, size};
use crate::serve::backend::Backend;
use crate::serve::orders::{Orders, Variable};
use crate::serve::relay;
use crate::serve::token::Token;

/// What to do with connections, and which files to serve beside them.
#[derive(Debug, Args)]
#[command(next_help_heading = "What to do with connections")]
pub(crate) struct Handling {
    /// echo: send each message back. broadcast: send it to all other connections of the same path.
    /// chat: a room for each path, and a page for browsers. topics: subscribe and publish by the
    /// subprotocol towline.topics.v1, which clients have to offer
    #[arg(long, value_name = "MODE", default_value = "echo")]
    mode: Mode,

    /// With --mode topics, connect the topics of several nodes by this broker, such as
    /// nats://10.0.0.1:4222 or redis://10.0.0.1:6379
    // Parsed later: clap's errors show the value, which may have a password.
    #[arg(long, value_name = "URL")]
    pub(crate) relay: Option<String>,

    /// With --mode topics, the most topics that a connection can be subscribed to [default: 1000]
    #[arg(long, value_name = "COUNT", value_parser = above_zero)]
    max_subscriptions: Option<NonZeroUsize>,

    /// Carry the bytes of binary messages to a TCP connection or a Unix socket, and back, such as
    /// tcp://127.0.0.1:5900 or unix:/run/app.sock. Speaks the subprotocol binary unless --protocol
    /// says otherwise
    #[arg(long, value_name = "ADDRESS", value_parser = Backend::read, conflicts_with = "mode")]
    proxy: Option<Backend>,

    /// With --proxy, how long the backend may take to accept a connection
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, requires = "proxy")]
    pub(crate) connect_timeout: Duration,

    /// Run this command for each connection: a text message is a line of its input, or several if it has
    /// line breaks; a line of its output is a text message. No shell is involved. All that follows is
    /// the command, so this is the last option
    #[arg(
        long,
        value_name = "COMMAND",
        num_args = 1..,
        allow_hyphen_values = true,
        conflicts_with_all = ["mode", "proxy"],
    )]
    exec: Vec<OsString>,

    /// With --exec, binary messages are bytes of the input, and bytes of the output are binary
    /// messages
    #[arg(long, requires = "exec")]
    exec_binary: bool,

    /// With --exec, give the command this variable: NAME from this program's environment, or
    /// NAME=VALUE. Repeat it for more. Without it, commands have PATH, HOME, USER, LOGNAME, SHELL,
    /// LANG, LC_ALL, LC_CTYPE, TZ, TMPDIR, and TOWLINE_… about the connection
    #[arg(long, value_name = "NAME", value_parser = Variable::read, requires = "exec")]
    exec_env: Vec<Variable>,

    /// With --exec, how long a command may take to end after SIGTERM, before SIGKILL
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration, requires = "exec")]
    exec_grace: Duration,

    /// With --exec, the most commands that run at a time; more connections get 503
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = processes, requires = "exec")]
    max_processes: NonZeroUsize,

    /// With --exec, the longest line of a command's output
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size, requires = "exec")]
    max_line: usize,

    /// Serve the files in this directory to browsers. The console is then at /console. Files with
    /// names that begin with a dot, and links to files outside of it, are not served
    #[arg(long = "static", value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,

    /// Where the list of connections in the console can be seen, with its token. local: in browsers on this
    /// machine, and they can close connections. any: in all browsers, but only local ones close
    /// connections. off: nowhere
    #[arg(long, value_name = "WHERE", default_value = "local")]
    pub(crate) console: Access,

    /// The token that browsers need to see the list of connections, of at least 16 characters, or off: none
    /// is needed. TOWLINE_CONSOLE_TOKEN in the environment does the same, and is not in the list of
    /// processes [default: a new one each time, in the address that is printed]
    // Parsed later: clap's errors show the value.
    #[arg(long, value_name = "TOKEN|off")]
    console_token: Option<String>,
}

/// What the server does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Echo,
    Broadcast,
    Chat,
    Topics,
}

/// Where the list of connections can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Access {
    Local,
    Any,
    Off,
}

/// What the options ask for.
#[derive(Debug)]
pub(crate) enum Target {
    Echo,
    Broadcast,
    Chat,
    Topics,
    Proxy(Backend),
    Exec(Orders),
}

impl Handling {
    /// What the options ask for.
    pub(crate) fn target(&self) -> Target {
        if let Some(backend) = &self.proxy {
            return Target::Proxy(backend.clone());
        }
        if self.runs_commands() {
            return Target::Exec(Orders {
                command: self.exec.clone(),
                environment: self.exec_env.clone(),
                max_line: (!self.exec_binary).then_some(self.max_line),
                grace: self.exec_grace,
                max_processes: self.max_processes,
            });
        }
        match self.mode {
            Mode::Echo => Target::Echo,
            Mode::Broadcast => Target::Broadcast,
            Mode::Chat => Target::Chat,
            Mode::Topics => Target::Topics,
        }
    }

    /// Whether there are commands, which inherit what the process is allowed.
    pub(crate) fn runs_commands(&self) -> bool {
        !self.exec.is_empty()
    }

    /// The most topics that a connection can be subscribed to.
    pub(crate) fn max_subscriptions(&self) -> NonZeroUsize {
        self.max_subscriptions.or(NonZeroUsize::new(1000)).unwrap_or(NonZeroUsize::MIN)
    }

    /// The token of the console. Where the list can't be seen, there is none.
    pub(crate) fn token(&self) -> Result<Token, Failure> {
        match self.console {
            Access::Off => Ok(Token::Off),
            Access::Local | Access::Any => Token::new(self.console_token.as_deref()),
        }
    }

    /// Refuses options that do not go together. `protocols` are those of `--protocol`.
    pub(crate) fn check(&self, protocols: &[String]) -> Result<(), Failure> {
        let usage = |message: &str| Err(Failure::new(Exit::Usage, message));
        let target = self.target();
        if let Target::Exec(orders) = &target {
            orders.check().map_err(|why| Failure::new(Exit::Usage, why))?;
        }
        if self.console_token.is_some() && self.console == Access::Off {
            return usage("--console-token can't be combined with --console off");
        }
        if self.max_subscriptions.is_some() && !matches!(target, Target::Topics) {
            return usage("--max-subscriptions needs --mode topics");
        }
        if let Some(url) = &self.relay {
            return match target {
                Target::Topics => relay::check(url),
                _ => usage("--relay needs --mode topics"),
            };
        }
        match target {
            _ if protocols.is_empty() => Ok(()),
            Target::Topics => usage(
                "--protocol can't be combined with --mode topics, which speaks towline.topics.v1",
            ),
            Target::Chat => {
                usage("--protocol can't be combined with --mode chat, which speaks towline.chat.v1")
            }
            _ => Ok(()),
        }
    }
}

fn processes(text: &str) -> Result<NonZeroUsize, String> {
    let processes = above_zero(text)?;
    match processes.get() <= Semaphore::MAX_PERMITS {
        true => Ok(processes),
        false => Err(format!("write a whole number up to {}", Semaphore::MAX_PERMITS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[arg(long)]
        nagle: bool,
        #[command(flatten)]
        handling: Handling,
    }

    fn parse(arguments: &[&str]) -> Result<Command, clap::Error> {
        Command::try_parse_from([&["serve"], arguments].concat())
    }

    #[test]
    fn everything_after_exec_is_the_command() {
        let line = ["--nagle", "--exec-binary", "--exec", "sh", "-c", "cat", "--nagle", "--mode=x"];
        let Command { nagle, handling } = parse(&line).unwrap();
        assert!(nagle);
        let Target::Exec(orders) = handling.target() else { panic!("not exec") };
        assert_eq!(orders.command, ["sh", "-c", "cat", "--nagle", "--mode=x"]);
        assert_eq!(orders.max_line, None);
        let Target::Exec(orders) = parse(&["--exec", "cat"]).unwrap().handling.target() else {
            panic!("not exec")
        };
        assert_eq!((orders.max_line, orders.max_processes.get()), (Some(1 << 20), 256));
        assert!(parse(&["--exec"]).is_err());
    }

    #[test]
    fn one_thing_is_done_with_connections() {
        for line in [
            &["--mode=chat", "--exec", "cat"][..],
            &["--mode=chat", "--proxy=tcp://a:1"],
            &["--proxy=tcp://a:1", "--exec", "cat"],
            &["--exec-binary"],
            &["--exec-env=A"],
            &["--proxy=127.0.0.1:1"],
            &["--exec-env=A-B", "--exec", "cat"],
            &["--max-processes=0", "--exec", "cat"],
            &["--max-processes=18446744073709551615", "--exec", "cat"],
            &["--console=nobody"],
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
        let target = parse(&["--proxy=tcp://a:1"]).unwrap().handling.target();
        assert!(matches!(target, Target::Proxy(Backend::Tcp(address)) if address == "a:1"));
    }

    #[test]
    fn options_of_topics_are_refused_without_them() {
        let check = |arguments: &[&str], protocols: &[&str]| {
            let protocols: Vec<_> = protocols.iter().map(|&name| name.to_owned()).collect();
            parse(arguments).unwrap().handling.check(&protocols)
        };
        for (arguments, protocols, words) in [
            (&["--relay=nats://broker"][..], &[][..], "--relay needs --mode topics"),
            (&["--relay=nats://broker", "--exec", "cat"], &[], "--relay needs --mode topics"),
            (&["--mode=topics"], &["any"], "--protocol can't be combined"),
            (&["--mode=chat"], &["any"], "--protocol can't be combined"),
            (&["--mode=topics", "--relay=amqp://user:secret@broker"], &[], "nats://HOST:PORT"),
        ] {
            let failure = check(arguments, protocols).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains(words), "{failure}");
            assert!(!failure.message.contains("secret"), "{failure}");
        }
        assert!(check(&["--mode=topics", "--relay=redis://broker"], &[]).is_ok());
        assert!(check(&["--mode=broadcast"], &["any"]).is_ok());
    }
}
