//! `--exec`: what to run for a connection, and how.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
#[cfg(unix)]
use std::path::Path;
use std::time::Duration;

/// What to run, and how.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    pub(crate) environment: Vec<Variable>,
    /// The most bytes of a line of output, or `None` for bytes as they come.
    pub(crate) max_line: Option<usize>,
    /// The time from SIGTERM to SIGKILL.
    pub(crate) grace: Duration,
    pub(crate) max_processes: NonZeroUsize,
}

impl Orders {
    /// Refuses a command that can't be started.
    ///
    /// # Errors
    ///
    /// A sentence that names the command.
    pub(crate) fn check(&self) -> Result<(), String> {
        let program = self.command.first().map_or(OsStr::new(""), OsString::as_os_str);
        if program.is_empty() {
            return Err("--exec: the name of the command is empty".to_owned());
        }
        let shown = program.display();
        check_program(program, self.path().as_deref())
            .map_err(|why| format!("--exec: can't start {shown}: {why}"))
    }

    /// Where commands are looked for.
    fn path(&self) -> Option<OsString> {
        let given = self.environment.iter().rev().find(|variable| variable.name == "PATH");
        match given.and_then(|variable| variable.value.as_ref()) {
            Some(path) => Some(path.into()),
            None => std::env::var_os("PATH"),
        }
    }
}

/// Looks for the program as the system does when it starts it.
#[cfg(unix)]
fn check_program(program: &OsStr, path: Option<&OsStr>) -> Result<(), &'static str> {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::PermissionsExt as _;
    let fault = |file: &Path| match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Some("no permission"),
        Err(_) => Some("there is no such file"),
        Ok(file) if file.is_dir() => Some("it is a directory"),
        Ok(file) if file.permissions().mode() & 0o111 == 0 => Some("it is not executable"),
        Ok(_) => None,
    };
    if program.as_bytes().contains(&b'/') {
        return fault(Path::new(program)).map_or(Ok(()), Err);
    }
    // Without PATH, the system has a list of its own.
    let Some(path) = path else { return Ok(()) };
    let mut files = std::env::split_paths(path).map(|directory| directory.join(program));
    match files.any(|file| fault(&file).is_none()) {
        true => Ok(()),
        false => Err("it is in no directory of PATH"),
    }
}

/// The system has rules of its own, so this is found when the command is started.
#[cfg(not(unix))]
fn check_program(_: &OsStr, _: Option<&OsStr>) -> Result<(), &'static str> {
    Ok(())
}

/// A variable of `--exec-env`: `NAME` or `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    /// That of this program, if it is not here.
    pub(crate) value: Option<String>,
}

impl Variable {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err("write NAME or NAME=VALUE, such as DATABASE_URL or DEBUG=1".to_owned());
        }
        if name.starts_with("TOWLINE_") {
            return Err("the variables TOWLINE_… are about the connection".to_owned());
        }
        Ok(Self { name: name.to_owned(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_command_that_is_not_there_is_refused() {
        let check = |command: &str, path: Option<&str>| {
            let path = path.map(|path| format!("PATH={path}"));
            let orders = Orders {
                command: vec![command.into(), "-c".into()],
                environment: path.iter().map(|path| Variable::read(path).unwrap()).collect(),
                max_line: None,
                grace: Duration::ZERO,
                max_processes: NonZeroUsize::MIN,
            };
            orders.check()
        };
        assert_eq!(check("sh", None), Ok(()));
        assert_eq!(check("/bin/sh", Some("/nowhere")), Ok(()));
        for (command, path, word) in [
            ("", None, "empty"),
            ("no-such-command", None, "no-such-command: it is in no directory of PATH"),
            ("sh", Some("/nowhere"), "PATH"),
            ("/no/such/command", None, "/no/such/command: there is no such file"),
            ("/", None, "directory"),
            (concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), None, "not executable"),
        ] {
            let why = check(command, path).unwrap_err();
            assert!(why.starts_with("--exec: ") && why.contains(word), "{why}");
        }
    }

    #[test]
    fn a_variable_is_passed_on_or_set() {
        let of = |name: &str, value: Option<&str>| Variable {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        };
        assert_eq!(Variable::read("DEBUG"), Ok(of("DEBUG", None)));
        assert_eq!(Variable::read("A_1=b=c"), Ok(of("A_1", Some("b=c"))));
        assert_eq!(Variable::read("A="), Ok(of("A", Some(""))));
        for text in ["", "=", "=b", "a b", "A-B=c", "é"] {
            assert!(Variable::read(text).unwrap_err().contains("NAME=VALUE"), "{text}");
        }
    }
}
