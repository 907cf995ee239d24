//! Child processes: passes their output on, and turns their exit status into an outcome.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::{io, thread};

use anyhow::{Context, Result};

use crate::test::outcome::Outcome;

/// The exit code of a suite that needs something which is missing.
const SKIPPED: i32 = 77;

/// Runs a command that passes or fails.
pub(crate) fn run(command: &mut Command) -> Result<Outcome> {
    let status = command.status().with_context(|| format!("cannot run {}", shown(command)))?;
    Ok(outcome(status, command, String::new()))
}

/// Runs a suite of `testing/interop`, which can also be skipped. The reason is its last line on stderr,
/// or on stdout if stderr is empty.
pub(crate) fn run_suite(command: &mut Command) -> Result<Outcome> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut said, mut complained) = (String::new(), String::new());
    thread::scope(|scope| {
        scope.spawn(|| said = pass_on(stdout, io::stdout()));
        scope.spawn(|| complained = pass_on(stderr, io::stderr()));
    });
    let reason = if complained.is_empty() { said } else { complained };
    Ok(outcome(child.wait()?, command, reason))
}

/// Copies line by line, and returns the last line that is not blank.
fn pass_on(from: Option<impl Read>, mut to: impl Write) -> String {
    let mut last = String::new();
    let lines = from.into_iter().flat_map(|from| BufReader::new(from).split(b'\n'));
    for line in lines.map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        // An error means that our own output is closed, so it cannot be reported.
        let _ = writeln!(to, "{line}");
        if !line.trim().is_empty() {
            last = line.trim().to_owned();
        }
    }
    last
}

fn outcome(status: ExitStatus, command: &Command, reason: String) -> Outcome {
    match status.code() {
        Some(0) => Outcome::Passed,
        Some(SKIPPED) if !reason.is_empty() => Outcome::Skipped(reason),
        _ if reason.is_empty() => Outcome::Failed(format!("{}: {status}", shown(command))),
        _ => Outcome::Failed(reason),
    }
}

/// Returns the command as typed in a shell, without the directory of its program.
pub(crate) fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let words = [name].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

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
            suite("echo 'no node' >&2; echo >&2; echo more; exit 77"),
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
