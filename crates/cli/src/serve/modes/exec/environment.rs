//! The environment of a command: little of this program's, and nothing of a client's headers.

use std::ffi::OsString;

use tokio::process::Command;
use towline::Connection;

use crate::serve::orders::Variable;

/// The variables of this program that commands have as well.
const KEPT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    // Without these, programs on Windows do not start.
    "SystemRoot",
    "SystemDrive",
    "ComSpec",
    "PATHEXT",
    "TEMP",
    "TMP",
    "USERPROFILE",
];

/// Sets the environment of the command for this connection.
///
/// The variables about the connection have names of their own, not those of CGI: programs that know
/// CGI would act on values that a client chooses. Headers are left out, since their names are the
/// client's, too.
pub(crate) fn set(command: &mut Command, more: &[Variable], connection: &Connection) {
    command.env_clear();
    let own = |name: &str| std::env::var_os(name);
    let kept = KEPT.iter().filter_map(|name| Some((OsString::from(name), own(name)?)));
    let more = more.iter().filter_map(|variable| {
        let value = match &variable.value {
            Some(value) => OsString::from(value),
            None => own(&variable.name)?,
        };
        Some((OsString::from(&variable.name), value))
    });
    command.envs(kept.chain(more));
    let address = connection.remote_address().map(|address| address.to_string());
    command.envs([
        ("TOWLINE_CONNECTION", connection.id().to_string()),
        ("TOWLINE_REMOTE_ADDRESS", address.unwrap_or_default()),
        ("TOWLINE_PATH", connection.path().to_owned()),
        ("TOWLINE_QUERY", connection.query().unwrap_or_default().to_owned()),
        ("TOWLINE_PROTOCOL", connection.protocol().unwrap_or_default().to_owned()),
    ]);
}
