//! `towline connect`.

use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc;

use crate::support::{Program, Serve, accept, peer, read_head, read_to_end};

#[test]
fn lines_go_out_and_messages_come_in() {
    let server = Serve::start(&[]);
    let ended = Program::connect(&[&server.url()]).feed(b"a\nb\n".to_vec());
    assert_eq!((ended.code, ended.text(), &ended.stderr[..]), (Some(0), "a\nb\n", ""));
}

#[test]
fn many_lines_come_back_in_order_and_whole() {
    let server = Serve::start(&[]);
    let lines: String = (0..20_000).map(|number| format!("line {number} €\n")).collect();
    let ended = Program::connect(&[&server.url()]).feed(lines.clone().into_bytes());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.text() == lines);
}

#[test]
fn a_last_line_needs_no_end_and_an_empty_one_is_a_message() {
    let server = Serve::start(&[]);
    let ended = Program::connect(&[&server.url()]).feed(b"a\r\n\nb".to_vec());
    assert_eq!((ended.code, ended.text()), (Some(0), "a\n\nb\n"));
}

#[test]
fn binary_input_is_one_message_and_comes_out_as_it_was() {
    let server = Serve::start(&[]);
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let ended = Program::connect(&[&server.url(), "--binary"]).feed(bytes.clone());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout == bytes);
}

#[test]
fn messages_of_the_command_line_are_sent_in_place_of_the_input() {
    let server = Serve::start(&[]);
    let arguments = [&server.url(), "-m", "one", "-m", "two", "--wait", "2"];
    // The input is still open when it ends.
    let mut program = Program::connect(&arguments);
    assert_eq!((program.line(), program.line()), ("one".to_owned(), "two".to_owned()));
    let _stdin = program.stdin.take();
    assert_eq!(program.end().code, Some(0));
}

/// Neither on the way nor where it fails, whatever is said of it.
#[test]
fn no_password_of_a_url_is_shown() {
    let server = Serve::start(&[]);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, code) in [
        (server.url().replace("ws://", "ws://deckhand:s3cret@"), 0),
        (server.url().replace("ws://", " http:\\\\deckhand:s3 cret@"), 0),
        (server.url().replace("ws://", "deckhand:s3cret@"), 0),
        (format!("ws://deckhand:s3cret@{nobody}/"), 3),
        ("ws://deckhand:s3cret@h:70000/".to_owned(), 2),
        ("ws://deckhand:s3cret@a b/".to_owned(), 2),
        ("ws://deckhand:s3cret@[::1%25eth0]/".to_owned(), 2),
        ("ws://deckhand:s3cret@/".to_owned(), 2),
        ("htp://deckhand:s3cret@h/".to_owned(), 2),
        ("ws:deckhand:s3cret@/".to_owned(), 2),
    ] {
        for options in [&["--verbose"][..], &["--json"], &["--json", "-v"], &[]] {
            let ended = Program::connect(&[&[&*url, "-m", "hi"], options].concat()).end();
            let shown = format!("{}{}", ended.stderr, ended.text());
            assert_eq!(ended.code, Some(code), "{url}: {shown}");
            for secret in ["s3cret", "s3 cret", "s3%20cret", "deckhand"] {
                assert!(!shown.contains(secret), "{url}: {shown}");
            }
        }
    }
}

#[test]
fn json_has_a_line_for_each_event() {
    let server = Serve::start(&[]);
    let ended = Program::connect(&[&server.url(), "--json", "-m", "a\nb"]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let events: Vec<serde_json::Value> =
        ended.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [open, message, close] = &events[..] else { panic!("{events:?}") };
    assert_eq!(open["event"], "open");
    assert_eq!(open["address"], server.address.to_string());
    assert_eq!(open["headers"]["upgrade"], "websocket");
    assert_eq!((&message["type"], &message["text"]), (&"text".into(), &"a\nb".into()));
    assert_eq!((&close["code"], &close["clean"]), (&1000.into(), &true.into()));
}

#[test]
fn json_tells_of_pings_and_pongs() {
    let url = peer(|mut stream| {
        accept(&mut stream);
        stream.write_all(b"\x89\x02hi\x8a\x01\xff\x82\x01\x00\x88\x02\x03\xe8").unwrap();
        read_to_end(stream);
    });
    let ended = Program::connect(&[&url, "--json"]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for event in [
        r#"{"event":"ping","text":"hi"}"#,
        r#"{"event":"pong","base64":"/w==","rtt_ms":null}"#,
        r#"{"event":"message","type":"binary","base64":"AA=="}"#,
    ] {
        assert!(ended.text().contains(event), "{ended:?}");
    }
}

#[test]
fn what_is_asked_for_is_in_the_request() {
    let (heads, head) = mpsc::channel();
    let url = peer(move |mut stream| heads.send(read_head(&mut stream)).unwrap());
    let arguments = ["-H", "X-Room: 7", "-o", "https://a.example", "-p", "chat.v1", "-m", "a"];
    Program::connect(&[&[&url[..]], &arguments[..]].concat())
        .end()
        .failed(4, &["without an answer"]);
    let head = String::from_utf8(head.recv().unwrap()).unwrap().to_ascii_lowercase();
    for line in ["x-room: 7", "origin: https://a.example", "sec-websocket-protocol: chat.v1"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
}

#[test]
fn wrong_usage_is_code_2() {
    for arguments in [
        &["ws://"][..],
        &["ftp://127.0.0.1:1/"],
        &["127.0.0.1:1", "-H", "no colon"],
        &["127.0.0.1:1", "-H", "Upgrade: something"],
        &["127.0.0.1:1", "--keepalive", "20"],
        &["127.0.0.1:1", "--quiet", "--verbose"],
        &[],
    ] {
        let ended = Program::connect(arguments).end();
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: "), "{ended:?}");
    }
}

/// A server would refuse it, and could not say so well what is wrong.
#[test]
fn an_origin_or_a_host_that_is_none_is_not_sent() {
    for (option, value, words) in [
        ("--origin", "http://\u{e9}", ["the origin", "http://\\xc3\\xa9"]),
        ("-H", "Host: a b", ["the header Host is", "a b"]),
        ("-H", "Host: user@a", ["the header Host is", "user@a"]),
    ] {
        let server = Serve::start(&[]);
        let ended = Program::connect(&[&server.url(), option, value, "-m", "a"]).end();
        ended.failed(2, &words);
    }
}

/// A peer can't have a line read differently from what it says, wherever its text is printed.
#[test]
fn what_turns_text_around_is_written_out() {
    let reason = "to \u{202e}exe.\u{2066}gpj\u{200f}";
    let closes = move || {
        peer(move |mut stream| {
            accept(&mut stream);
            let length = u8::try_from(reason.len()).unwrap();
            stream.write_all(&[0x88, length + 2, 0x0f, 0xa0]).unwrap();
            stream.write_all(reason.as_bytes()).unwrap();
            read_to_end(stream);
        })
    };
    let words = ["to \\u{202e}exe.\\u{2066}gpj\\u{200f}"];
    let ended = Program::connect(&[&closes(), "--verbose"]).end_by_peer();
    assert!(ended.stderr.contains(words[0]) && ended.stderr.is_ascii(), "{ended:?}");
    Program::connect(&[&closes()]).end_by_peer().failed(1, &words);
    let ended = Program::connect(&[&closes(), "--json"]).end_by_peer();
    assert!(ended.text().is_ascii(), "{ended:?}");
    let close = ended.text().lines().find(|line| line.contains(r#""event":"close""#)).unwrap();
    assert!(close.contains(r"to \u202eexe.\u2066gpj\u200f"), "{close}");
    let close: serde_json::Value = serde_json::from_str(close).unwrap();
    assert_eq!((&close["code"], &close["reason"]), (&4000.into(), &reason.into()));

    let refuses = peer(move |mut stream| {
        read_head(&mut stream);
        let head = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nX-WebSocket-Reject-Reason: ";
        stream.write_all(format!("{head}{reason}\r\n\r\n").as_bytes()).unwrap();
        read_to_end(stream);
    });
    let ended = Program::connect(&[&refuses]).end();
    ended.failed(4, &["403", "gpj"]);
    assert!(ended.stderr.is_ascii(), "{ended:?}");
}

#[test]
fn nobody_there_is_code_3() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    Program::connect(&[&address, "-m", "a"]).end().failed(3, &["can't connect to", &address]);
}

#[test]
fn an_answer_that_is_no_websocket_is_code_4() {
    let url = peer(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        read_to_end(stream);
    });
    Program::connect(&[&url]).end().failed(4, &["200 OK"]);
    let url = peer(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").unwrap();
        read_to_end(stream);
    });
    Program::connect(&[&url]).end().failed(4, &[]);
}

/// A server that answers this, and leaves the connection open.
fn refusing(answer: String) -> String {
    peer(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        read_to_end(stream);
    })
}

#[test]
fn a_refusal_is_shown_with_status_location_and_body() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: /lo\u{9b}gin?next=s3cret\r\nTransfer-Encoding: chunked\r\n\
        \r\n4\r\nlog \r\n7\r\nin\n\u{1b}[2J\r\n0\r\n\r\n";
    let ended = Program::connect(&[&refusing(answer.to_owned()), "--verbose"]).end();
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let lines: Vec<_> = ended.stderr.lines().collect();
    let (error, told) = lines.split_last().unwrap();
    assert!(error.starts_with("error: ") && error.contains("302 Found"), "{ended:?}");
    assert_eq!(
        told,
        [
            "response: 302 Found",
            r#"Location: "/lo\u{9b}gin?(hidden)""#,
            r#"body: "log in\n\u{1b}[2J""#
        ]
    );
    // Without it there is one line.
    Program::connect(&[&refusing(answer.to_owned())]).end().failed(4, &["302 Found"]);
    // It may repeat the query of the URL.
    let shown = Program::connect(&[&refusing(answer.to_owned()), "-v", "--show-secrets"]).end();
    assert!(shown.stderr.contains("gin?next=s3cret"), "{shown:?}");

    let ended = Program::connect(&[&refusing(answer.to_owned()), "--json"]).end();
    let event: serde_json::Value = serde_json::from_str(ended.text()).unwrap();
    assert_eq!((&event["event"], &event["status"]), (&"error".into(), &302.into()), "{event}");
    assert_eq!(event["location"], "/lo\u{9b}gin?(hidden)");
    assert_eq!(event["body"], "log in\n\u{1b}[2J");
}

#[test]
fn a_long_body_is_cut_and_a_long_reason_says_the_host() {
    let page = "x".repeat(9_000);
    let answer = format!("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9000\r\n\r\n{page}");
    let ended = Program::connect(&[&refusing(answer), "-v"]).end();
    assert!(ended.stderr.contains(&format!("body: \"{}\"\n", &page[..4096])), "{ended:?}");

    let reason = "the origin \"https://a-page-of-somebody-else.example\" is not allowed to connect \
        to \"chat.example.com:8443\"";
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\nX-WebSocket-Reject-Reason: {reason}\r\nContent-Length: 0\r\n\r\n"
    );
    Program::connect(&[&refusing(answer)]).end().failed(4, &["403", "chat.example.com:8443"]);
}

#[test]
fn another_protocol_is_quoted() {
    let url = refusing("SSH-2.0-OpenSSH_9.6\r\n".to_owned());
    let words = [r#"the peer does not speak HTTP: it began with "SSH-2.0-OpenSSH_9.6""#];
    Program::connect(&[&url]).end().failed(4, &words);
}

#[test]
fn a_broken_protocol_and_too_large_a_message_are_code_5() {
    let url = peer(|mut stream| {
        accept(&mut stream);
        stream.write_all(&[0xf1, 0]).unwrap();
        read_to_end(stream);
    });
    Program::connect(&[&url, "-w", "1"]).end().failed(5, &["reserved bits"]);
    let server = Serve::start(&[]);
    Program::connect(&[&server.url(), "-m", "ahoy", "--max-message", "3"])
        .end()
        .failed(5, &["the limit is 3", "--max-message"]);
}

#[test]
fn an_error_code_and_a_lost_connection_are_code_1() {
    let url = peer(|mut stream| {
        accept(&mut stream);
        stream.write_all(b"\x88\x06\x03\xf3oops").unwrap();
        read_to_end(stream);
    });
    Program::connect(&[&url, "-w", "1"]).end().failed(1, &["1011", "oops"]);
    let url = peer(|mut stream| accept(&mut stream));
    Program::connect(&[&url, "-w", "1"]).end().failed(1, &["without a close frame"]);
}

#[test]
fn fewer_messages_than_awaited_are_code_1() {
    let url = peer(|mut stream| {
        accept(&mut stream);
        stream.write_all(b"\x81\x01a\x88\x02\x03\xe8").unwrap();
        read_to_end(stream);
    });
    let ended = Program::connect(&[&url, "-w", "2"]).end();
    ended.failed(1, &["1000", "1 of 2"]);
    assert_eq!(ended.text(), "a\n");
}

#[test]
fn too_long_is_code_124() {
    let url = peer(read_to_end);
    Program::connect(&[&url, "--connect-timeout", "50ms"])
        .end()
        .failed(124, &["--connect-timeout"]);
    let server = Serve::start(&[]);
    let ended =
        Program::start(&["connect", &server.url(), "-w", "1", "--timeout", "50ms", "--json"]).end();
    ended.failed(124, &["--timeout"]);
    assert!(ended.text().contains("\"event\":\"error\""), "{ended:?}");
}

#[test]
fn an_interrupt_closes_and_is_code_130() {
    let server = Serve::start(&[]);
    let mut client = Program::connect(&[&server.url(), "--json", "-w", "forever"]);
    assert!(client.line().contains("\"event\":\"open\""));
    client.signal("INT");
    let closed = client.line();
    assert!(closed.contains("\"code\":1001") && closed.contains("\"clean\":true"), "{closed}");
    assert_eq!(client.end().code, Some(130));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let server = Serve::start(&[]);
    let mut client = Program::connect(&[&server.url()]);
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(b"one\n").unwrap();
    assert_eq!(client.line(), "one");
    drop(client.stdout.take());
    // The input goes on until nobody reads it.
    while stdin.write_all(b"more\n").is_ok() {}
    let ended = client.end();
    assert_eq!((ended.code, &ended.stderr[..]), (Some(0), ""));
}

#[test]
fn input_that_is_no_text_is_told_by_its_line() {
    let server = Serve::start(&[]);
    let ended = Program::connect(&[&server.url()]).feed(b"a\n\xff\nb\n".to_vec());
    ended.failed(1, &["line 2", "UTF-8", "--binary"]);
    assert_eq!(ended.text(), "a\n");
}

#[test]
fn a_reason_of_the_server_does_not_reach_the_terminal_unchecked() {
    let url = peer(|mut stream| {
        accept(&mut stream);
        stream.write_all(b"\x88\x07\x03\xf3\x1b[2J\n").unwrap();
        read_to_end(stream);
    });
    Program::connect(&[&url]).end().failed(1, &["\\u{1b}[2J\\n"]);
}
