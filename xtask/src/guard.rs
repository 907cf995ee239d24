//! Children that end with this program, even if it is killed.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// Its standard input ends when this program does.
const SCRIPT: &str = r#"read -r _; kill -s KILL -- "$1""#;

/// Kills a child if this program ends while the guard is there. Ctrl-C and signals run no `drop`.
pub(crate) struct Guard(Child);

impl Guard {
    /// Guards a child.
    pub(crate) fn of(child: &Child) -> io::Result<Self> {
        Self::start(&child.id().to_string())
    }

    /// Guards a child that leads a process group, and all others in it.
    pub(crate) fn of_group(leader: &Child) -> io::Result<Self> {
        Self::start(&format!("-{}", leader.id()))
    }

    fn start(target: &str) -> io::Result<Self> {
        let mut guard = Command::new("sh");
        guard.args(["-c", SCRIPT, "sh", target]);
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C is not for it.
        guard.process_group(0).spawn().map(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Before its input ends.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    /// Prints a line when another process of its group is there.
    fn group() -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo; wait"]).stdout(Stdio::piped());
        command.process_group(0).spawn().unwrap()
    }

    #[test]
    fn a_group_ends_with_this_program() {
        let mut child = group();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        let mut guard = Guard::of_group(&child).unwrap();
        // As when this program has ended.
        drop(guard.0.stdin.take());
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        // The other process has the pipe, too.
        assert_eq!(output.read_line(&mut String::new()).unwrap(), 0);
        assert!(guard.0.wait().unwrap().success());
    }

    #[test]
    fn a_guard_that_is_no_longer_needed_kills_nothing() {
        let mut child = Command::new("cat");
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        drop(Guard::of(&child).unwrap());
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}
