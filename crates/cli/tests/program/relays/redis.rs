//! By redis-server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use towline_kit::brokers;

use crate::relays::topics_of_two_servers_are_one;
use crate::support::Program;

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test --only relays"]
async fn two_servers() {
    topics_of_two_servers_are_one("redis", brokers::redis).await;
}

/// Redis with `requirepass`, for a client without a password.
fn refuse_all(stream: TcpStream) {
    let mut answers = stream.try_clone().unwrap();
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    for _ in lines.filter(|line| line.starts_with('*')) {
        if answers.write_all(b"-NOAUTH Authentication required.\r\n").is_err() {
            return;
        }
    }
}

#[test]
fn a_password_that_is_missing_is_an_error_at_the_start() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("--relay=redis://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || refuse_all(stream));
        }
    });
    let mut program = Program::start(&["serve", "--listen=127.0.0.1:0", "--mode=topics", &url]);
    assert_eq!(program.line(), "");
    program.end().failed(3, &["cannot connect to Redis", "Authentication required"]);
}
