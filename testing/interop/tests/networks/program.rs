//! Programs that are run to their end, and an address without one.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use towline_kit::programs::free_ports;

/// Runs a command, which must succeed, and returns its output.
pub(crate) fn run(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(output.status.success(), "{program} ended with {}:\n{printed}", output.status);
    printed
}

/// Returns an address on loopback on which nothing listens.
pub(crate) fn nobody() -> SocketAddr {
    let [address] = free_ports();
    address
}
