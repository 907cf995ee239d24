//! Child processes: what they print is passed on, and their end becomes an outcome.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::{io, thread};

use anyhow::{Context, Result};

use crate::test::outcome::Outcome;

/// The exit code of a suite that lacks something; its last line says what.
const SKIPPED: i32 = 77;

/// Runs a command that passes or fails.
pub(crate) fn run(command: &mut Command) -> Result<Outcome> {
    let status = command.status().with_context(|| format!("cannot run {}", shown(command)))?;
    Ok(outcome(status, command, String::new()))
}

/// Runs a suite of `testing/interop`, which may also be skipped.
pub(crate) fn run_suite(command: &mut Command) -> Result<Outcome> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    let last = Mutex::new(String::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| pass_on(stdout, io::stdout(), &last));
        scope.spawn(|| pass_on(stderr, io::stderr(), &last));
    });
    let status = child.wait()?;
    Ok(outcome(status, command, last.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// Copies line by line, and keeps the last that says anything.
fn pass_on(from: Option<impl Read>, mut to: impl Write, last: &Mutex<String>) {
    let Some(from) = from else { return };
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        // Nobody is left to tell if our own output is closed.
        let _ = writeln!(to, "{line}");
        if !line.trim().is_empty() {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = line.trim().to_owned();
        }
    }
}

fn outcome(status: ExitStatus, command: &Command, last: String) -> Outcome {
    match status.code() {
        Some(0) => Outcome::Passed,
        Some(SKIPPED) if !last.is_empty() => Outcome::Skipped(last),
        _ if last.is_empty() => Outcome::Failed(format!("{}: {status}", shown(command))),
        _ => Outcome::Failed(last),
    }
}

/// The command as one would type it, without the directory of its program.
pub(crate) fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let words = [name].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn suite(script: &str) -> Outcome {
        run_suite(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn the_exit_code_of_a_suite_is_its_outcome() {
        assert_eq!(suite("exit 0"), Outcome::Passed);
        assert_eq!(suite("echo 'a: 2 failed'; exit 1"), Outcome::Failed("a: 2 failed".into()));
        assert_eq!(
            suite("echo; echo 'no node' >&2; echo >&2; exit 77"),
            Outcome::Skipped("no node".into())
        );
    }

    #[test]
    fn a_suite_that_does_not_say_what_it_lacks_has_failed() {
        assert!(matches!(suite("exit 77"), Outcome::Failed(_)));
    }

    #[test]
    fn a_suite_that_is_not_there_is_an_error() {
        assert!(run_suite(&mut Command::new("/nowhere/to/be/found")).is_err());
    }
}
