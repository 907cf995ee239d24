//! `towline serve`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::support::{Program, Serve, ask, ask_with_token, header, join, read_head, within};

#[test]
fn the_console_is_served_beside_the_websockets() {
    let server = Serve::start(&[]);
    let (head, body) = ask(&server, "GET /");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(header(&head, "content-type"), "text/html; charset=utf-8");
    assert!(header(&head, "content-security-policy").contains("default-src 'none'"));
    assert!(body.starts_with(b"<!doctype html>"));
    for (path, kind) in [("client.js", "text/javascript"), ("console.css", "text/css")] {
        let (head, body) = ask(&server, &format!("GET /console/{path}"));
        assert_eq!(header(&head, "content-type"), format!("{kind}; charset=utf-8"));
        assert!(!body.is_empty());
    }
}

#[test]
fn the_console_can_ask_for_the_topics() {
    for (mode, begin) in [("echo", "{\"mode\":\"echo\"}"), ("topics", "{\"mode\":\"topics\",")] {
        let server = Serve::start(&["--mode", mode]);
        let (head, body) = ask_with_token(&server, "GET /console/topics.json");
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert_eq!(header(&head, "content-type"), "application/json");
        assert_eq!(header(&head, "cache-control"), "no-store");
        assert!(body.starts_with(begin.as_bytes()), "{}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn topics_and_rooms_are_not_for_everybody() {
    let shown = |server: &Serve, headers: &str| {
        let (head, body) = ask_with_token(server, &format!("GET /console/topics.json{headers}"));
        assert!(head.starts_with("http/1.1 200"), "{head}");
        String::from_utf8(body).unwrap()
    };
    for mode in ["topics", "chat"] {
        let only_mode = format!("{{\"mode\":\"{mode}\"}}");
        let server = Serve::start(&["--mode", mode]);
        assert!(shown(&server, "").contains("\"list\""));
        for headers in ["\nHost: evil.example", "\nX-Forwarded-For: 192.0.2.1"] {
            assert_eq!(shown(&server, headers), only_mode);
        }
        let server = Serve::start(&["--mode", mode, "--console=off"]);
        assert_eq!(shown(&server, ""), only_mode);
        let server = Serve::start(&["--mode", mode, "--console=any"]);
        assert!(shown(&server, "\nX-Forwarded-For: 192.0.2.1").contains("\"list\""));
        assert_eq!(shown(&server, "\nHost: evil.example"), only_mode);
    }
}

#[test]
fn a_browser_does_not_fetch_twice_what_it_has() {
    let server = Serve::start(&[]);
    let (head, _) = ask(&server, "GET /");
    let tag = header(&head, "etag");
    let (head, body) = ask(&server, &format!("GET /\nIf-None-Match: {tag}"));
    assert!(head.starts_with("http/1.1 304"), "{head}");
    assert!(body.is_empty());
}

#[test]
fn head_has_the_length_and_no_body() {
    let server = Serve::start(&[]);
    let (_, body) = ask(&server, "GET /");
    let (head, nothing) = ask(&server, "HEAD /");
    assert_eq!(header(&head, "content-length"), body.len().to_string());
    assert!(nothing.is_empty());
}

#[test]
fn other_paths_are_not_found_and_other_methods_not_allowed() {
    let server = Serve::start(&[]);
    for path in ["/nowhere", "/console/index.html", "/console/../index.html"] {
        let (head, _) = ask(&server, &format!("GET {path}"));
        assert!(head.starts_with("http/1.1 404"), "{head}");
    }
    let (head, _) = ask(&server, "POST /");
    assert!(head.starts_with("http/1.1 405"), "{head}");
    assert_eq!(header(&head, "allow"), "get, head");
}

#[test]
fn a_handshake_of_another_version_is_told_which_there_is() {
    let server = Serve::start(&[]);
    let (head, _) = ask(
        &server,
        "GET /\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 99\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    );
    assert!(head.starts_with("http/1.1 426"), "{head}");
    assert!(header(&head, "sec-websocket-version").contains("13"));
}

#[test]
fn a_port_in_use_is_one_line_and_code_3() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Program::start(&["serve", "--listen", &address]).end();
    ended.failed(3, &["can't listen on", &address, "--listen"]);
    assert!(ended.stdout.is_empty());
}

#[test]
fn it_serves_without_a_command() {
    // Taken by this test or by somebody else: what counts is that it is wanted.
    let _taken = TcpListener::bind("127.0.0.1:9001");
    let ended = Program::start(&[]).end();
    ended.failed(3, &["can't listen on 127.0.0.1:9001"]);
}

#[test]
fn several_addresses_are_listened_on() {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--listen", "localhost:0"];
    let mut program = Program::start(&arguments);
    let lines = [program.line(), program.line()];
    for line in lines {
        let address = line.strip_prefix("listening on ").unwrap();
        let url = format!("ws://{address}/any/path");
        let ended = Program::connect(&[&url, "-m", "ahoy", "-w", "1"]).end();
        assert_eq!((ended.code, ended.text()), (Some(0), "ahoy\n"), "{ended:?}");
    }
}

#[test]
fn a_wrong_option_is_named_with_its_value() {
    let ended = Program::start(&["serve", "--max-message", "12 pebbles"]).end();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--max-message") && ended.stderr.contains("12 pebbles"));
    Program::start(&["serve", "--origin=any", "--origin=https://a.example"])
        .end()
        .failed(2, &["--origin"]);
}

#[test]
fn pages_of_other_origins_are_refused_unless_allowed() {
    let connect = |server: &Serve| {
        Program::connect(&[&server.url(), "-o", "https://a.example", "-m", "a", "-w", "1"]).end()
    };
    connect(&Serve::start(&[])).failed(4, &["403", "https://a.example"]);
    for origin in ["any", "https://a.example", "https://*.example"] {
        let ended = connect(&Serve::start(&["--origin", origin]));
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn subprotocols_are_agreed_on_by_the_servers_preference() {
    for (spoken, agreed) in [
        (&["--protocol=chat.v2", "--protocol=chat.v1"][..], "\"chat.v2\""),
        (&["--protocol=any"], "\"chat.v1\""),
        (&["--protocol=other"], "null"),
        (&[], "null"),
    ] {
        let server = Serve::start(spoken);
        let url = server.url();
        let mut client =
            Program::connect(&[&url, "--json", "-p", "chat.v1", "-p", "chat.v2", "-w", "0"]);
        let open = client.line();
        assert!(open.contains(&format!("\"protocol\":{agreed}")), "{spoken:?}: {open}");
    }
}

#[test]
fn handshakes_that_fail_are_told_with_their_address() {
    let mut patient = Serve::start(&["-v"]);
    let mut hasty = Serve::start(&["-v", "--handshake-timeout=1s"]);
    let valid = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let tls = "\x16\x03\x01\x02\x00\x01\x00\x01";
    for (said, words) in [
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "refused with 400 Bad Request: the HTTP head is malformed"),
        (tls, "refused with 400 Bad Request: the client speaks TLS"),
        (valid, "refused with 426 Upgrade Required: Sec-WebSocket-Version is missing"),
        ("GET /", "failed: no whole request within 1s (--handshake-timeout)"),
    ] {
        let server = if words.contains("within 1s") { &mut hasty } else { &mut patient };
        let mut client = TcpStream::connect(server.address).unwrap();
        client.write_all(said.as_bytes()).unwrap();
        let line = server.program.error_line();
        let told = format!("{} {words}", client.local_addr().unwrap());
        assert!(line.contains(&told), "{line}, not {told}");
    }
}

#[test]
fn a_token_in_place_of_a_subprotocol_is_not_shown() {
    let mut server = Serve::start(&["-v", "--protocol=any"]);
    let token = "eyJhbGciOiJIUzI1NiJ9.e30.s3cret";
    let client = Program::connect(&[&server.url(), "--protocol", token, "-m", "ahoy", "-w", "1"]);
    let ended = client.end();
    assert!(ended.code == Some(0) && ended.text().contains("ahoy"), "{ended:?}");
    let line = server.program.error_line();
    assert!(line.contains("connected to / (hidden)") && !line.contains("s3cret"), "{line}");
}

#[test]
fn a_message_above_the_limit_closes_with_1009() {
    let server = Serve::start(&["--max-message", "1KiB", "-v"]);
    let text = "x".repeat(1025);
    let ended = Program::connect(&[&server.url(), "-m", &text, "-w", "1"]).end();
    ended.failed(1, &["1009"]);
}

#[test]
fn an_interrupt_closes_all_connections_and_says_so() {
    for signal in ["INT", "TERM"] {
        let mut server = Serve::start(&["-v"]);
        let url = server.url() + "?token=s3cret";
        let mut client = Program::connect(&[&url, "--json", "-w", "forever"]);
        assert!(client.line().contains("\"event\":\"open\""));
        client.stdin.as_mut().unwrap().write_all(b"ahoy\n").unwrap();
        assert!(client.line().contains("\"text\":\"ahoy\""));
        let line = server.program.error_line();
        assert!(line.contains("connected to /?(hidden)") && !line.contains("s3cret"), "{line}");

        server.program.signal(signal);
        let closed = client.line();
        assert!(
            closed.contains("\"code\":1001") && closed.contains("\"by\":\"server\""),
            "{closed}"
        );
        assert_eq!(client.end().code, Some(0));
        let ended = server.program.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.text(), "shut down: 1 connection closed; 1 message echoed (4 B)\n");
        assert!(ended.stderr.contains("1 message echoed"), "{ended:?}");
    }
}

#[cfg(unix)]
#[test]
fn threads_share_the_port_and_end_together() {
    let server = Serve::start(&["--threads", "3"]);
    let mut clients: Vec<_> = (0..12)
        .map(|_| {
            let mut client = Program::connect(&[&server.url(), "--json", "-w", "forever"]);
            assert!(client.line().contains("\"event\":\"open\""));
            client.stdin.as_mut().unwrap().write_all(b"ahoy\n").unwrap();
            assert!(client.line().contains("\"text\":\"ahoy\""));
            client
        })
        .collect();
    server.program.signal("INT");
    for client in &mut clients {
        assert!(client.line().contains("\"code\":1001"));
    }
    let ended = server.program.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.text(), "shut down: 12 connections closed; 12 messages echoed (48 B)\n");
    assert!(ended.stderr.contains("closing 12 connections"), "{ended:?}");
}

#[test]
fn who_does_not_answer_is_waited_for_and_reported() {
    let server = Serve::start(&["--close-timeout", "50ms"]);
    let _silent = silent_client(&server);
    server.program.signal("INT");
    let ended = server.program.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.text().contains("1 connection closed, 1 of them not cleanly"), "{ended:?}");
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let mut server = Serve::start(&["--close-timeout", "1h"]);
    let _silent = silent_client(&server);
    server.program.signal("INT");
    assert!(server.program.error_line().contains("closing 1 connection"));
    server.program.signal("INT");
    assert_eq!(server.program.end().code, Some(130));
}

/// A client that has connected and says nothing any more.
pub(crate) fn silent_client(server: &Serve) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let address = server.address;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    read_head(&mut stream);
    // An echo, so that the server is known to have the connection.
    stream.write_all(&[0x82, 0x80, 0, 0, 0, 0]).unwrap();
    let mut echo = [0; 2];
    stream.read_exact(&mut echo).unwrap();
    assert_eq!(echo, [0x82, 0]);
    stream
}

#[test]
fn options_without_a_command_are_for_serving() {
    let mut program = Program::start(&["--listen", "127.0.0.1:0", "--max-message", "1KiB"]);
    let line = program.line();
    let address = line.strip_prefix("listening on 127.0.0.1:").unwrap();
    let ended = Program::connect(&[&format!("127.0.0.1:{address}"), "-m", "a", "-w", "1"]).end();
    assert_eq!((ended.code, ended.text()), (Some(0), "a\n"), "{ended:?}");
    let ended = Program::start(&["--nonsense"]).end();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--nonsense"), "{ended:?}");
}

#[test]
fn draft_8_can_be_refused() {
    for (arguments, status) in [(&[][..], "101"), (&["--no-draft-8"], "426")] {
        let server = Serve::start(arguments);
        let mut stream = TcpStream::connect(server.address).unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            server.address
        );
        stream.write_all(request.as_bytes()).unwrap();
        let head = String::from_utf8(read_head(&mut stream)).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

/// The head of the answer to a handshake, and its stream.
fn shake_hands(server: &Serve) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.address
    );
    stream.write_all(request.as_bytes()).unwrap();
    (String::from_utf8(read_head(&mut stream)).unwrap().to_ascii_lowercase(), stream)
}

#[test]
fn quotas_refuse_what_is_too_much_and_name_the_option() {
    for (options, status, retry_after) in [
        (["--max-connections=1"].as_slice(), "503", "10"),
        (&["--max-connections-per-address=1"], "429", "10"),
        (&["--max-handshake-rate=1"], "429", "1"),
    ] {
        let server = Serve::start(options);
        let (head, _open) = shake_hands(&server);
        assert!(head.starts_with("http/1.1 101"), "{head}");
        let (head, _refused) = shake_hands(&server);
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{options:?}: {head}");
        assert_eq!(header(&head, "retry-after"), retry_after, "{options:?}");
        let reason = header(&head, "x-websocket-reject-reason");
        let name = options[0].split('=').next().unwrap().replace("--", "").replace('-', "_");
        assert!(reason.contains(&name), "{reason}");
    }
    let server = Serve::start(&["--max-handshakes-per-address=1", "--handshake-timeout=1h"]);
    let _silent = TcpStream::connect(server.address).unwrap();
    let mut refused = TcpStream::connect(server.address).unwrap();
    refused.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    assert_eq!(refused.read(&mut [0]).unwrap(), 0);
    let server = Serve::start(&["--max-message-rate=1", "--when-too-fast=close"]);
    let (head, mut stream) = shake_hands(&server);
    assert!(head.starts_with("http/1.1 101"), "{head}");
    // Two empty messages at once.
    stream.write_all(&[0x81, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0]).unwrap();
    let mut frames = [0; 6];
    stream.read_exact(&mut frames).unwrap();
    assert_eq!((frames[2], u16::from_be_bytes([frames[4], frames[5]])), (0x88, 1008));
}

#[tokio::test]
async fn the_log_names_the_quota_that_ended_a_connection() {
    let mut server = Serve::start(&["--verbose", "--max-buffered-bytes", "100KiB"]);
    let mut connection = join(&server, "/").await;
    server.program.error_line();
    // If sending fails, it is closed.
    let _ = connection.send(vec![0; 3_000_000]).await;
    while let Ok(Some(_)) = within(connection.recv()).await {}
    server.program.wait_for_error(|line| {
        line.contains("102400 bytes") && line.contains("(--max-buffered-bytes)")
    });
}
