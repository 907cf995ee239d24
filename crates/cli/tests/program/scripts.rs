//! What scripts ask of `towline connect`.

use std::io::Write as _;
use std::net::TcpListener;

use serde_json::Value;

use crate::certificates::file;
use crate::support::{Program, Serve, accept, peer, read_to_end};

#[test]
fn once_is_one_message_there_and_one_back() {
    let server = Serve::start(&[]);
    // The whole input is the message.
    let ended = Program::connect(&[&server.url(), "--once"]).feed(b"two\nlines\n".to_vec());
    assert_eq!((ended.code, ended.text(), &ended.stderr[..]), (Some(0), "two\nlines\n", ""));
    let ended = Program::connect(&[&server.url(), "-1", "-m", "ahoy"]).end();
    assert_eq!((ended.code, ended.text()), (Some(0), "ahoy\n"), "{ended:?}");
    let two = Program::connect(&[&server.url(), "-1", "-m", "a", "-m", "b"]).end();
    two.failed(2, &["--once", "--message is given 2 times"]);

    // More than one message is not printed, even if it arrives with the first.
    let url = peer(|mut stream| {
        accept(&mut stream);
        stream.write_all(b"\x81\x01a\x81\x01b\x81\x01c").unwrap();
        read_to_end(stream);
    });
    let ended = Program::connect(&[&url, "--once", "-m", "ahoy", "--close-timeout=1s"]).end();
    assert_eq!(ended.text(), "a\n", "{ended:?}");
    let url = peer(|mut stream| {
        accept(&mut stream);
        stream.write_all(b"\x88\x02\x03\xe8").unwrap();
        read_to_end(stream);
    });
    let ended = Program::connect(&[&url, "--once", "-m", "ahoy"]).end();
    ended.failed(1, &["0 of 1", "--once"]);
}

#[test]
fn a_count_ends_it_though_the_input_goes_on() {
    let server = Serve::start(&[]);
    let mut client = Program::connect(&[&server.url(), "--count", "2"]);
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(b"a\nb\nc\n").unwrap();
    let ended = client.end();
    assert_eq!((ended.code, ended.text()), (Some(0), "a\nb\n"), "{ended:?}");
    drop(stdin);
}

#[test]
fn silence_ends_it() {
    let server = Serve::start(&[]);
    let arguments = [&server.url(), "--until-idle", "300ms"];
    let ended = Program::connect(&arguments).feed(b"a\nb\n".to_vec());
    assert_eq!((ended.code, ended.text()), (Some(0), "a\nb\n"), "{ended:?}");
    let ended =
        Program::connect(&[&arguments[..], &["--wait", "3"]].concat()).feed(b"a\n".to_vec());
    ended.failed(1, &["silent", "1 of 3", "--wait"]);
}

#[test]
fn each_connection_begins_with_the_messages_of_a_file() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        for is_last in [false, true] {
            let (mut stream, _) = listener.accept().unwrap();
            accept(&mut stream);
            // A frame with a mask: 2 + 4 + 5 bytes.
            let mut frame = [0; 11];
            std::io::Read::read_exact(&mut stream, &mut frame).unwrap();
            bytes.push(frame[6] ^ frame[2]);
            if is_last {
                stream.write_all(b"\x88\x02\x03\xe8").unwrap();
                read_to_end(stream);
            }
        }
        bytes
    });
    let init = file("hello.txt", "hello\n");
    let arguments = [&url, "--init", &init, "--wait", "forever", "--reconnect", "-q"];
    let ended = Program::connect(&arguments).feed(Vec::new());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(serving.join().unwrap(), b"hh");
}

#[test]
fn binary_messages_can_be_shown_in_other_forms() {
    let server = Serve::start(&[]);
    let init = file("bytes.txt", "/hex 00 61 ff\n");
    let shown = |form: &str| {
        let arguments = [&server.url(), "--init", &init, "--wait", "1", "--show-binary", form];
        let ended = Program::connect(&arguments).feed(Vec::new());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    };
    assert_eq!(shown("raw"), b"\0a\xff\n");
    assert_eq!(shown("base64"), b"AGH/\n");
    assert_eq!(shown("summary"), b"binary, 3 B: 00 61 ff\n");
    let dump = String::from_utf8(shown("hex")).unwrap();
    assert!(dump.starts_with("000000  00 61 ff ") && dump.ends_with("  .a.\n"), "{dump}");
}

#[test]
fn binary_messages_can_be_saved() {
    let server = Serve::start(&[]);
    let init = file("more-bytes.txt", "/hex 00 ff\ntext\n/base64 YWhveQ==\n");
    let directory = std::env::temp_dir().join(format!("towline-save-{}", std::process::id()));
    let shown = directory.display().to_string();
    let arguments = [&server.url(), "--init", &init, "--wait", "3", "--save", &shown];
    let ended = Program::connect(&arguments).feed(Vec::new());
    let expected = format!("{shown}/000001.bin\ntext\n{shown}/000002.bin\n");
    assert_eq!((ended.code, ended.text()), (Some(0), &expected[..]), "{ended:?}");
    assert_eq!(std::fs::read(directory.join("000001.bin")).unwrap(), b"\0\xff");
    assert_eq!(std::fs::read(directory.join("000002.bin")).unwrap(), b"ahoy");

    let ended = Program::connect(&[&arguments[..], &["--json"]].concat()).feed(Vec::new());
    let file =
        format!(r#"{{"event":"message","type":"binary","bytes":2,"file":"{shown}/000003.bin"}}"#);
    assert!(ended.text().lines().any(|line| line == file), "{ended:?}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_message_that_cannot_be_saved_is_named_by_its_number() {
    let directory = std::env::temp_dir().join(format!("towline-unsaved-{}", std::process::id()));
    let url = peer({
        let directory = directory.clone();
        move |mut stream| {
            accept(&mut stream);
            stream.write_all(b"\x81\x01a").unwrap();
            // The client has the directory by now. A file is in its place.
            let _ = std::fs::remove_dir_all(&directory);
            std::fs::write(&directory, "").unwrap();
            stream.write_all(b"\x82\x01b").unwrap();
            read_to_end(stream);
        }
    });
    let arguments = [&url, "--wait", "forever", "--save", directory.to_str().unwrap()];
    let ended = Program::connect(&arguments).feed(Vec::new());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("--save: can't write message 2: "), "{ended:?}");
    std::fs::remove_file(&directory).unwrap();
}

#[test]
fn times_can_be_shown() {
    let server = Serve::start(&[]);
    let shown = |options: &[&str]| {
        let url = server.url();
        let arguments = [&[&url[..], "-1", "-m", "ahoy"], options].concat();
        let ended = Program::connect(&arguments).end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.text().to_owned()
    };
    let line = shown(&["--time"]);
    assert!(line.starts_with("20") && line.ends_with("Z ahoy\n") && line.len() == 30, "{line}");
    let line = shown(&["--time=relative"]);
    assert!(line.starts_with('+') && line.ends_with(" ahoy\n"), "{line}");
    for line in shown(&["--time=relative", "--json"]).lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["time"].as_f64().unwrap() >= 0.0 && event["event"].is_string(), "{line}");
    }
}

#[test]
fn colours_are_for_terminals_unless_they_are_wanted() {
    let server = Serve::start(&[]);
    let shown = |options: &[&str]| {
        let url = server.url();
        let arguments = [&[&url[..], "-1", "-m", "[1]"], options].concat();
        Program::connect(&arguments).end().text().to_owned()
    };
    assert_eq!(shown(&[]), "[1]\n");
    assert_eq!(shown(&["--color", "always"]), "[\u{1b}[33m1\u{1b}[0m]\n");
}

/// The request as it was sent, which is not the program's idea of it.
#[test]
fn verbose_shows_both_sides_of_the_handshake() {
    let server = Serve::start(&["--protocol", "chat.v1", "--compress"]);
    let url = server.url().replace("ws://", "ws://deckhand:s3cret@") + "?token=s3cret";
    let arguments = [&url, "-1", "-m", "a", "-H", "Cookie: id=s3cret", "-H", "X-Room: 7"];
    let token = ["--protocol", "bearer.s3cret"];
    let options = ["--protocol", "chat.v1", "--compress", "--verbose"];
    let arguments = [&arguments[..], &options, &token].concat();
    let ended = Program::connect(&arguments).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for line in [
        "request: GET /?(hidden) HTTP/1.1",
        &format!("  host: {}", server.address),
        "  x-room: 7",
        "  cookie: (hidden: --show-secrets shows it)",
        "  authorization: (hidden: --show-secrets shows it)",
        "  sec-websocket-protocol: chat.v1, (hidden: --show-secrets shows it)",
        "response: HTTP/1.1 101 Switching Protocols",
        "  upgrade: websocket",
    ] {
        assert!(ended.stderr.lines().any(|shown| shown == line), "{line}: {}", ended.stderr);
    }
    assert!(ended.stderr.contains("\n  sec-websocket-extensions: permessage-deflate"), "{ended:?}");
    assert!(!ended.stderr.contains("s3cret"), "{ended:?}");

    let ended = Program::connect(&[&arguments[..], &["--show-secrets"]].concat()).end();
    for shown in ["\n  cookie: id=s3cret\n", "/?token=s3cret at ", "chat.v1,", "bearer.s3cret\n"] {
        assert!(ended.stderr.contains(shown), "{shown}: {ended:?}");
    }
    let ended = Program::connect(&[&arguments[..], &["--json"]].concat()).end();
    let open: Value = serde_json::from_str(ended.text().lines().next().unwrap()).unwrap();
    assert_eq!(open["request_headers"]["x-room"], "7", "{open}");
    assert!(!ended.text().contains("s3cret"), "{ended:?}");
}

/// Runs a line of a shell in which `$T` is the program.
#[cfg(target_os = "linux")]
fn shell(line: &str) -> (Option<i32>, String) {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", line]).env("T", env!("CARGO_BIN_EXE_towline"));
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_can_not_be_written_is_an_error() {
    let server = Serve::start(&[]);
    let url = server.url();
    for line in [
        format!("connect {url} -m x -1"),
        format!("connect {url} -m x --wait 1"),
        format!("connect {url} -m x -1 --json"),
        format!("connect {url} -m x -1 -b"),
        "--help".to_owned(),
        "connect --help".to_owned(),
        "--version".to_owned(),
        "completions bash".to_owned(),
        "man".to_owned(),
    ] {
        let (code, error) = shell(&format!("exec \"$T\" {line} > /dev/full"));
        assert_eq!(code, Some(1), "{line}: {error}");
        assert!(
            error.contains("error: can't write to standard output: No space"),
            "{line}: {error}"
        );
        assert_eq!(error.lines().count(), 1, "{line}: {error}");
        // A reader that goes is none.
        let (code, error) = shell(&format!("{{ \"$T\" {line}; echo \"rc $?\" >&2; }} | :"));
        assert_eq!((code, &error[..]), (Some(0), "rc 0\n"), "{line}");
    }
}

/// Nobody could know where it is.
#[test]
#[cfg(target_os = "linux")]
fn a_server_whose_address_can_not_be_written_does_not_serve() {
    let (code, error) = shell("exec timeout 20 \"$T\" serve --listen=127.0.0.1:0 > /dev/full");
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("error: can't write to standard output: No space"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn lines_of_both_streams_have_their_order_in_one_file() {
    use std::io::Write as _;

    let path = file("both.log", "");
    let stream = || std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_towline"));
    command.args(["serve", "--listen=127.0.0.1:0", "--close-timeout=100ms"]);
    let mut server = command.stdout(stream()).stderr(stream()).spawn().unwrap();
    let address = loop {
        let text = std::fs::read_to_string(&path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("listening on "));
        if let Some(address) = line.filter(|_| text.contains("in a browser\n")) {
            break address.to_owned();
        }
        std::thread::yield_now();
    };
    let mut client = std::net::TcpStream::connect(&address).unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    client.write_all(request.as_bytes()).unwrap();
    crate::support::read_head(&mut client);
    let id = server.id().to_string();
    assert!(
        std::process::Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success()
    );
    assert!(server.wait().unwrap().success());
    let text = std::fs::read_to_string(&path).unwrap();
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}: {text}"));
    assert!(at("closing 1 connection") < at("shut down: "), "{text}");
}

/// Whatever else there is to say.
#[test]
#[cfg(target_os = "linux")]
fn a_report_that_can_not_be_written_is_told_beside_its_verdict() {
    let (code, error) = shell("exec \"$T\" check ws://127.0.0.1:1/ > /dev/full");
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("error: can't write to standard output: No space"), "{error}");
}

/// Nobody writes to it: the program waits for what it has to read first.
#[tokio::test]
#[cfg(unix)]
async fn a_pipe_in_place_of_a_file_does_not_delay_an_interrupt() {
    for arguments in [
        ["connect", "--init"],
        ["connect", "--replay"],
        ["connect", "--ca"],
        ["check", "--ca"],
        ["bench", "--ca"],
        ["bench", "--file"],
    ] {
        let pipe = crate::certificates::file("pipe", "");
        std::fs::remove_file(&pipe).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let mut program = Program::start(&[&arguments[..], &[&pipe, "ws://127.0.0.1:1/"]].concat());
        // This waits until it is open at the other end.
        let writer = std::fs::File::options().write(true).open(&pipe).unwrap();
        program.signal("TERM");
        // The signal ends it.
        assert_eq!(program.code().await, None, "{arguments:?}");
        drop(writer);
    }
}
