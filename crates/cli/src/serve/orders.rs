//! `--exec`: what to run for a connection, and how.

use std::ffi::OsString;
use std::num::NonZeroUsize;
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
        Ok(Self { name: name.to_owned(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
