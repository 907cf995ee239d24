//! `towline connect --reconnect`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use crate::support::{Program, accept, peer, read_head, read_to_end};

/// A server that refuses, restarts, and ends.
#[test]
fn reconnect_connects_again_until_the_server_ends_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").unwrap();
        drop(stream);
        for (text, close) in [("one", None), ("two", Some(1012_u16)), ("end", Some(1000))] {
            let (mut stream, _) = listener.accept().unwrap();
            accept(&mut stream);
            let mut bytes = vec![0x81, 3];
            bytes.extend(text.as_bytes());
            if let Some(code) = close {
                bytes.extend([0x88, 2]);
                bytes.extend(code.to_be_bytes());
            }
            stream.write_all(&bytes).unwrap();
            if close.is_some() {
                read_to_end(stream);
            }
        }
    });
    let arguments = [&*url, "--wait", "forever", "--reconnect"];
    let ended = Program::connect(&arguments).feed(Vec::new());
    assert_eq!((ended.code, ended.text()), (Some(0), "one\ntwo\nend\n"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("connecting again in ").count(), 3, "{}", ended.stderr);
    for word in ["503", "1012"] {
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
    }
    serving.join().unwrap();
}

#[test]
fn reconnect_gives_up_where_another_attempt_is_in_vain() {
    let url = peer(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    Program::connect(&[&url, "--reconnect"]).end().failed(4, &["401"]);
    // And what the close code means is the exit code.
    let url = peer(|mut stream| {
        accept(&mut stream);
        stream.write_all(&[0x88, 2, 0x0f, 0xa0]).unwrap();
        read_to_end(stream);
    });
    let ended = Program::connect(&[&url, "--wait", "forever", "--reconnect"]).end();
    assert!(ended.stderr.contains("4000"), "{}", ended.stderr);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

/// What `--wait` counts is not one connection's.
#[test]
fn wait_counts_the_messages_of_all_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        for is_last in [false, true] {
            let (mut stream, _) = listener.accept().unwrap();
            accept(&mut stream);
            stream.write_all(b"\x81\x03one\x81\x03two").unwrap();
            if is_last {
                assert_eq!(message(&mut stream), Some((8, vec![0x03, 0xe8])));
                stream.write_all(b"\x88\x02\x03\xe8").unwrap();
                read_to_end(stream);
            }
        }
    });
    let ended = Program::connect(&[&url, "--wait", "4", "--reconnect"]).feed(Vec::new());
    assert_eq!((ended.code, ended.text()), (Some(0), "one\ntwo\none\ntwo\n"), "{}", ended.stderr);
    serving.join().unwrap();
}

/// Every line arrives on one of the connections, in order and once, but for the one that was cut off.
#[test]
fn what_was_not_sent_is_sent_on_the_next_connection() {
    over_two_connections(None);
}

/// A message that is the same as one of `--init` is the user's all the same.
#[test]
fn what_was_not_sent_can_be_what_a_connection_begins_with() {
    over_two_connections(Some(99));
}

/// With this line as the first message of each connection, besides.
fn over_two_connections(init: Option<usize>) {
    const LINES: usize = 100;
    const LENGTH: usize = 256 << 10;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        accept(&mut first);
        // More than the sockets hold follows, so that messages wait when the connection ends.
        let mut arrived = vec![message(&mut first).unwrap()];
        if init.is_some() {
            arrived = vec![message(&mut first).unwrap()];
        }
        std::thread::sleep(Duration::from_millis(300));
        first.shutdown(Shutdown::Write).unwrap();
        let (mut second, _) = listener.accept().unwrap();
        accept(&mut second);
        while let Some(message) = message(&mut first) {
            arrived.push(message);
        }
        let whole = arrived.len();
        if let Some(number) = init {
            let (_, payload) = message(&mut second).unwrap();
            assert!(payload.ends_with(format!("-{number:03}").as_bytes()));
        }
        loop {
            match message(&mut second).unwrap() {
                (8, _) => break,
                message => arrived.push(message),
            }
        }
        second.write_all(b"\x88\x02\x03\xe8").unwrap();
        read_to_end(second);
        (arrived, whole)
    });
    let line = |number: usize| format!("{}{number:03}\n", "-".repeat(LENGTH - 3));
    let input = (0..LINES).map(line).collect::<String>();
    let mut arguments = vec![url, "--reconnect".to_owned()];
    let path = std::env::temp_dir().join(format!("towline-init-{}", std::process::id()));
    if let Some(number) = init {
        std::fs::write(&path, line(number)).unwrap();
        arguments.extend(["--init".to_owned(), path.to_str().unwrap().to_owned()]);
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let ended = Program::connect(&arguments).feed(input.into_bytes());
    if init.is_some() {
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let (arrived, whole) = serving.join().unwrap();
    assert!(whole < LINES, "all of them fit into the sockets");
    let numbers = arrived.iter().map(|(opcode, payload)| {
        assert_eq!((*opcode, payload.len()), (1, LENGTH));
        std::str::from_utf8(&payload[LENGTH - 3..]).unwrap().parse::<usize>().unwrap()
    });
    let numbers: Vec<_> = numbers.collect();
    let mut expected: Vec<_> = (0..LINES).collect();
    if numbers.len() < LINES {
        // The connection ended inside this message.
        expected.remove(whole);
    }
    assert_eq!(numbers, expected);
}

/// Reads a message of a client, or its close frame: the opcode and the payload. `None` if the stream
/// ends before.
fn message(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let (mut first, mut message) = frame(stream)?;
    let opcode = first & 0x0f;
    while first & 0x80 == 0 {
        let (next, payload) = frame(stream)?;
        message.extend(payload);
        first = next;
    }
    Some((opcode, message))
}

/// Reads a frame of a client: its first byte, and its payload. `None` if the stream ends before.
fn frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut bytes = [0; 2];
            stream.read_exact(&mut bytes).ok()?;
            u16::from_be_bytes(bytes).into()
        }
        127 => {
            let mut bytes = [0; 8];
            stream.read_exact(&mut bytes).ok()?;
            u64::from_be_bytes(bytes)
        }
        short => short.into(),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).ok()?;
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).ok()?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Some((head[0], payload))
}
