//! The `towline` program: an echo server with a console for the browser, and a client for the
//! terminal and for scripts.

// In order of dependence: a module uses only those above it.

mod say;

mod screen;

mod quantity;

mod secrets;

mod refusal;

mod exit;

mod help;

mod options;

mod certificate;

mod network;

mod interrupt;

mod descriptors;

mod topics;

mod serve;

mod connect;

mod bench;

mod check;

mod completions;

mod manual;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::exit::{Exit, Failure};

/// Commands that can be tried, for `--help`.
const EXAMPLES: &str = "\
Examples:
  towline
  towline connect ws://127.0.0.1:9001/";

/// Use WebSockets by hand: an echo server with a console for the browser, a client for the terminal and
/// for scripts, a load test, and a doctor for servers.
///
/// Without a command it runs `towline serve`, with the same options: `towline --listen
/// 127.0.0.1:8080`.
#[derive(Debug, Parser)]
#[command(name = "towline", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Options),
    Connect(connect::Options),
    Check(check::Options),
    Bench(Box<bench::Options>),
    Completions(completions::Options),
    Man(manual::Options),
}

/// The command of this program. A negative value is one of its option, which says what is wrong with it.
fn command() -> clap::Command {
    let mut command = Arguments::command();
    let names: Vec<_> = command.get_subcommands().map(|of| of.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |of| {
            of.mut_args(|argument| {
                // `-1` is an option, too: before the URL, or before the next option.
                let has_value = argument.get_action().takes_values() && !argument.is_positional();
                match has_value && argument.get_num_args().is_none_or(|count| count == 1.into()) {
                    true => argument.allow_negative_numbers(true),
                    false => argument,
                }
            })
        });
    }
    command
}

fn parsed(arguments: Vec<OsString>) -> Result<Arguments, clap::Error> {
    let mut matches = command().try_get_matches_from(arguments)?;
    Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command()))
}

fn main() -> ExitCode {
    let arguments = with_command(std::env::args_os().collect());
    let arguments = match parsed(arguments) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => error.exit(),
        // The help or the version.
        Err(error) => {
            // What goes wrong is remembered.
            let _ = say::written(error.print().and_then(|()| io::stdout().flush()));
            return ended(Exit::Success);
        }
    };
    let outcome = match arguments.command {
        Some(Command::Serve(options)) => serve(options),
        Some(Command::Connect(options)) => connect(options),
        Some(Command::Check(options)) => check(options),
        Some(Command::Bench(options)) => bench(*options),
        Some(Command::Completions(options)) => completions::run(&options, Arguments::command()),
        Some(Command::Man(options)) => manual::run(&options, Arguments::command()),
        None => Err(Failure::new(Exit::Usage, "the command is missing")),
    };
    let exit = match outcome {
        Ok(exit) => ended(exit),
        Err(failure) => {
            say::error(&failure);
            failure.exit.into()
        }
    };
    say::flush();
    exit
}

/// How a program ends that got so far. One that did all it was to do has not if its output could not be written.
fn ended(exit: Exit) -> ExitCode {
    match say::trouble() {
        Some(why) => {
            say::error(format_args!("can't write to standard output: {why}"));
            if exit == Exit::Success { Exit::Unclean.into() } else { exit.into() }
        }
        None => exit.into(),
    }
}

/// Adds the command `serve` if there is none. All of its options have defaults.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.is_empty() {
        arguments.push("towline".into());
    }
    let is_own = |text: &str| matches!(text, "-h" | "--help" | "-V" | "--version");
    let is_missing = match arguments.get(1) {
        Some(first) => first.to_str().is_some_and(|first| first.starts_with('-') && !is_own(first)),
        None => true,
    };
    if is_missing {
        arguments.insert(1, "serve".into());
    }
    arguments
}

fn serve(options: serve::Options) -> Result<Exit, Failure> {
    // With --threads each thread has its own runtime; this one only waits for them.
    let mut runtime = match options.threads {
        Some(_) => tokio::runtime::Builder::new_current_thread(),
        None => tokio::runtime::Builder::new_multi_thread(),
    };
    block_on(runtime.enable_all().build(), serve::run(options))
}

fn connect(options: connect::Options) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    block_on(runtime, connect::run(options))
}

fn check(options: check::Options) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    block_on(runtime, check::run(options))
}

fn bench(options: bench::Options) -> Result<Exit, Failure> {
    // The load has threads of its own; this one only looks on.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    block_on(runtime, bench::run(options))
}

fn block_on(
    runtime: std::io::Result<tokio::runtime::Runtime>,
    future: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    let runtime =
        runtime.map_err(|error| Failure::new(Exit::Unclean, format!("can't start: {error}")))?;
    let outcome = runtime.block_on(future);
    // Tasks that are still running end with the process.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_option_takes_a_negative_value_for_a_missing_one() {
        let mut seen = 0;
        for of in command().get_subcommands() {
            let options = of.get_arguments().filter(|option| !option.is_positional());
            let options = options.filter(|option| option.get_action().takes_values());
            for option in options.filter(|option| option.get_num_args().is_none()) {
                let name = format!("--{}", option.get_long().unwrap());
                let error = command().try_get_matches_from(["towline", of.get_name(), &name, "-1"]);
                let error = error.map_or_else(|error| error.to_string(), |_| String::new());
                assert!(!error.contains("none was supplied"), "{name}: {error}");
                seen += 1;
            }
        }
        assert!(seen > 50, "{seen} options");
        // One with another meaning.
        let line = ["towline", "connect", "ws://a/", "-m", "x", "-1"];
        assert!(parsed(line.map(OsString::from).to_vec()).is_ok());
    }

    #[test]
    fn options_without_a_command_are_those_of_serve() {
        let with_command = |line: &str| {
            let arguments = with_command(line.split(' ').map(OsString::from).collect());
            arguments.join(" ".as_ref()).into_string().unwrap()
        };
        for (line, expected) in [
            ("towline", "towline serve"),
            ("towline --listen [::1]:0", "towline serve --listen [::1]:0"),
            ("towline -vv", "towline serve -vv"),
            ("towline --nonsense", "towline serve --nonsense"),
            ("towline serve --nagle", "towline serve --nagle"),
            ("towline connect ws://a", "towline connect ws://a"),
            ("towline help connect", "towline help connect"),
            ("towline --help", "towline --help"),
            ("towline -V", "towline -V"),
            ("towline nonsense", "towline nonsense"),
        ] {
            assert_eq!(with_command(line), expected);
        }
    }
}
