//! `towline serve` without descriptors for more connections.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::Program;

#[test]
fn that_no_connection_can_be_accepted_is_told_without_verbose() {
    let mut program = Program::start_within("-n 40", &["serve", "--listen=127.0.0.1:0"]);
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

#[test]
fn as_many_descriptors_are_taken_as_the_system_lets_a_process_have() {
    let mut program = Program::start_within("-S -n 40", &["serve", "--listen=127.0.0.1:0"]);
    let line = program.line();
    let address = line.strip_prefix("listening on ").unwrap();
    let mut clients: Vec<_> = (0..60).map(|_| TcpStream::connect(address).unwrap()).collect();
    let last = clients.last_mut().unwrap();
    write!(last, "GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    last.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

/// A command may be one that calls `select`.
#[test]
fn a_command_has_the_limit_that_the_program_was_given() {
    let arguments = ["serve", "--listen=127.0.0.1:0", "--exec", "sh", "-c", "ulimit -S -n"];
    let mut program = Program::start_within("-S -n 111", &arguments);
    let line = program.line();
    let url = format!("ws://{}/", line.strip_prefix("listening on ").unwrap());
    let heard = Program::start(&["connect", "--once", &url]).end();
    assert_eq!(heard.text().trim(), "111", "{}", heard.stderr);
}
