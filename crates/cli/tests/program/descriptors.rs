//! `towline serve` without descriptors for more connections.

use std::net::TcpStream;

use crate::support::Program;

#[test]
fn that_no_connection_can_be_accepted_is_told_without_verbose() {
    let mut program = Program::start_within(40, &["serve", "--listen=127.0.0.1:0"]);
    let line = program.line();
    let address = line.strip_prefix("listening on ").unwrap();
    // The backlog has room for them.
    let _clients: Vec<_> = (0..60).map(|_| TcpStream::connect(address).unwrap()).collect();
    let line = program.error_line();
    assert!(line.starts_with("warning: accepting connections failed; retrying"), "{line}");
    assert!(line.contains("Too many open files"), "{line}");
    let open = line.split(", with ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    assert!(open.is_some_and(|open: u32| open < 40), "{line}");
    assert!(line.contains("ulimit -n"), "{line}");
    // What to do is said once.
    let line = program.error_line();
    assert!(line.contains("Too many open files") && line.contains(" open"), "{line}");
    assert!(!line.contains("ulimit"), "{line}");
}
