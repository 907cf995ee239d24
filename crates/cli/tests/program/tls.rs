//! `wss://` and `https://`, in both commands.

use std::io::Write as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use towline::Tls;

use crate::certificates::{Authority, Signed, file};
use crate::support::{Ended, Program, Serve, peer, read_to_end};

fn serve(signed: &Signed, more: &[&str]) -> Serve {
    let files = ["--tls-cert", &signed.cert, "--tls-key", &signed.key];
    Serve::start_secure(&[&files[..], more].concat())
}

/// One message there and back.
fn echoed(url: &str, options: &[&str]) -> Ended {
    Program::connect(&[&[url, "-m", "ahoy", "-w", "1"], options].concat()).end()
}

#[test]
fn a_self_signed_server_says_who_it_is_and_how_to_connect() {
    let mut server = Serve::start_secure(&["--tls-self-signed"]);
    let about = server.program.line();
    assert!(
        about.starts_with("self-signed certificate for localhost, 127.0.0.1, ::1, "),
        "{about}"
    );
    let (_, fingerprint) = about.split_once("SHA-256 fingerprint ").unwrap();
    let how = format!("connect with: towline connect --insecure wss://{}/", server.address);
    assert_eq!(server.program.line(), how);

    echoed(&server.secure_url(), &[]).failed(6, &["self-signed", "--ca FILE", "--insecure"]);
    let ended = echoed(&server.secure_url(), &["--insecure"]);
    assert_eq!((ended.code, ended.text()), (Some(0), "ahoy\n"), "{ended:?}");
    assert!(ended.stderr.starts_with("warning: --insecure"), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    let ended = echoed(&server.secure_url(), &["--insecure", "--quiet"]);
    assert_eq!((ended.code, &ended.stderr[..]), (Some(0), ""));
    // Whoever compares them needs no --ca.
    let ended = echoed(&server.secure_url(), &["--insecure", "-v"]);
    assert!(ended.stderr.contains(fingerprint), "{ended:?}");
}

#[test]
fn a_self_signed_certificate_that_was_saved_is_trusted_as_any_other() {
    let path = file("self-signed.pem", "");
    let arguments = ["--tls-self-signed", "--tls-self-signed-out", &path];
    let mut server = Serve::start_secure(&arguments);
    let _about = server.program.line();
    let how = format!("connect with: towline connect --ca {path} wss://{}/", server.address);
    assert_eq!(server.program.line(), how);
    for url in [server.secure_url(), format!("wss://localhost:{}/", server.address.port())] {
        let ended = echoed(&url, &["--ca", &path]);
        assert_eq!((ended.code, ended.text(), &ended.stderr[..]), (Some(0), "ahoy\n", ""));
    }
    let pem = std::fs::read_to_string(&path).unwrap();
    assert!(!pem.contains("PRIVATE KEY"), "{pem}");
    Program::start(&["serve", "--tls-self-signed", "--tls-self-signed-out", "/nowhere/a.pem"])
        .end()
        .failed(2, &["--tls-self-signed-out", "/nowhere/a.pem"]);
}

/// Such as `--ca <(command)` in a shell, which can be read only once.
#[cfg(unix)]
#[test]
fn roots_can_come_from_a_pipe() {
    let root = Authority::new("Test Root");
    let server = serve(&root.sign("127.0.0.1"), &[]);
    let pem = std::fs::read(&root.file).unwrap();
    let url = server.secure_url();
    for command in [
        &["connect", "--once", "--message", "ahoy"][..],
        &["bench", "--threads", "2", "--connections", "2", "--messages", "10"],
        &["check", "--max-size", "1KiB"],
    ] {
        let arguments = [command, &[&url, "--ca", "/dev/stdin"]].concat();
        let ended = Program::start(&arguments).feed(pem.clone());
        assert_eq!(ended.code, Some(0), "{command:?}: {ended:?}");
    }
}

/// Who it is, and why, in a line each.
#[test]
fn a_tls_handshake_that_fails_is_told_to_who_wants_to_know() {
    let root = Authority::new("Test Root");
    let mut server = serve(&root.sign("127.0.0.1"), &["-v", "--handshake-timeout", "3s"]);
    echoed(&server.url(), &[]).failed(6, &["wss://"]);
    let line = server.program.error_line();
    assert!(line.starts_with("127.0.0.1:") && line.contains("it speaks plain HTTP"), "{line}");
    let other = Authority::new("Another Root");
    echoed(&server.secure_url(), &["--ca", &other.file]).failed(6, &["unknown root"]);
    let line = server.program.error_line();
    assert!(line.contains("certificate (UnknownCA)"), "{line}");
    let silent = std::net::TcpStream::connect(server.address).unwrap();
    let line = server.program.error_line();
    assert!(line.starts_with(&silent.local_addr().unwrap().to_string()), "{line}");
    assert!(line.contains("no handshake within 3s (--handshake-timeout)"), "{line}");
}

#[cfg(unix)]
#[test]
fn a_hangup_ends_no_server() {
    for secure in [&[][..], &["--tls-self-signed"]] {
        let arguments = [&["-v"], secure].concat();
        let mut server = match secure {
            [] => Serve::start(&arguments),
            _ => Serve::start_secure(&arguments),
        };
        server.program.signal("HUP");
        let line = server.program.error_line();
        assert!(line.starts_with("SIGHUP ignored: "), "{line}");
        server.program.signal("INT");
        assert_eq!(server.program.end().code, Some(0));
    }
}

#[test]
fn a_header_that_can_not_be_is_not_shown() {
    for header in ["Bearer s3cret", "Authorization Bearer s3cret:x", "X: s3cret\u{7f}"] {
        let ended = Program::connect(&["ws://127.0.0.1:1/", "-H", "A: b", "-H", header]).end();
        ended.failed(2, &["--header (no. 2): "]);
        assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
    }
}

#[test]
fn files_make_a_server_and_its_root_makes_it_trusted() {
    let root = Authority::new("Test Root");
    let mut server = serve(&root.sign("127.0.0.1"), &["-v"]);
    let about = server.program.line();
    assert!(about.starts_with("certificate for 127.0.0.1, valid to 2100-03-04"), "{about}");
    let other = Authority::new("Another Root");
    let ended = echoed(&server.secure_url(), &["--ca", &other.file, "--ca", &root.file]);
    assert_eq!((ended.code, ended.text(), &ended.stderr[..]), (Some(0), "ahoy\n", ""));
    assert!(server.program.error_line().contains("connected to / over TLS 1.3"));
    echoed(&server.secure_url(), &["--ca", &other.file]).failed(6, &["unknown root", "--ca FILE"]);
}

#[test]
fn http_2_is_used_if_asked_for() {
    let root = Authority::new("Test Root");
    let server = serve(&root.sign("127.0.0.1"), &[]);
    for version in ["2", "auto"] {
        let options = ["--ca", &root.file, "-v", "--http-version", version];
        let ended = echoed(&server.secure_url(), &options);
        assert_eq!((ended.code, ended.text()), (Some(0), "ahoy\n"), "{ended:?}");
        assert!(ended.stderr.contains("ALPN h2"), "{ended:?}");
    }
    let ended = echoed(&server.secure_url(), &["--http-version", "3"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("1.1, 2 or auto"), "{ended:?}");
}

#[test]
fn verbose_and_json_say_what_tls_agreed_on() {
    let root = Authority::new("Test Root");
    let server = serve(&root.sign("127.0.0.1"), &[]);
    let ended = echoed(&server.secure_url(), &["--ca", &root.file, "-v"]);
    for words in [
        "TLS 1.3, TLS13_",
        "ALPN http/1.1",
        "certificate of CN=127.0.0.1, signed by CN=Test Root",
        "for 127.0.0.1",
        "valid from 2020-01-02T00:00:00Z to 2100-03-04T00:00:00Z",
        "SHA-256 fingerprint ",
    ] {
        assert!(ended.stderr.contains(words), "{words} is not in {ended:?}");
    }
    let ended = echoed(&server.secure_url(), &["--ca", &root.file, "--json"]);
    let open: serde_json::Value =
        serde_json::from_str(ended.text().lines().next().unwrap()).unwrap();
    assert_eq!(open["tls"]["alpn"], "http/1.1");
    assert_eq!(open["tls"]["certificates"][0]["issuer"], "CN=Test Root");
    assert_eq!(open["tls"]["resumed"], false);
}

#[test]
fn a_certificate_for_another_name_is_told_and_may_be_expected() {
    let root = Authority::new("Test Root");
    let server = serve(&root.sign("ship.example"), &[]);
    let trusted = ["--ca", &root.file];
    echoed(&server.secure_url(), &trusted).failed(6, &["--server-name", "--insecure"]);
    let named = [&trusted[..], &["--server-name", "ship.example"]].concat();
    assert_eq!(echoed(&server.secure_url(), &named).code, Some(0));
}

#[test]
fn a_certificate_that_has_expired_is_told() {
    let root = Authority::new("Test Root");
    let mut server = serve(&root.sign_until("127.0.0.1", 2021), &[]);
    assert!(server.program.line().contains("expired at 2021-03-04"));
    let ended = echoed(&server.secure_url(), &["--ca", &root.file]);
    ended.failed(6, &["expired", "--insecure"]);
}

#[test]
fn clients_show_a_certificate_where_the_server_wants_one() {
    let (root, clients) = (Authority::new("Test Root"), Authority::new("Client Root"));
    let mut server = serve(&root.sign("127.0.0.1"), &["--tls-client-ca", &clients.file, "-v"]);
    let trusted = ["--ca", &root.file];
    echoed(&server.secure_url(), &trusted).failed(6, &["certificate", "--cert FILE"]);
    let stranger = root.sign("stranger");
    let shown = ["--cert", &stranger.cert, "--key", &stranger.key];
    echoed(&server.secure_url(), &[&trusted[..], &shown].concat()).failed(6, &["--cert FILE"]);
    let deckhand = clients.sign("deckhand");
    let shown = ["--cert", &deckhand.cert, "--key", &deckhand.key];
    let ended = echoed(&server.secure_url(), &[&trusted[..], &shown].concat());
    assert_eq!((ended.code, ended.text()), (Some(0), "ahoy\n"), "{ended:?}");
    for words in ["sent no certificate", "an unknown root", "over TLS 1.3 as CN=deckhand"] {
        let line = server.program.error_line();
        assert!(line.contains(words), "{line}");
    }
    // Both in one file.
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let both = file("both.pem", &(read(&deckhand.cert) + &read(&deckhand.key)));
    let ended = echoed(&server.secure_url(), &[&trusted[..], &["--cert", &both]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[cfg(unix)]
#[test]
fn a_hangup_has_the_files_read_again_and_disturbs_nobody() {
    let (first, second) = (Authority::new("First Root"), Authority::new("Second Root"));
    let signed = first.sign("127.0.0.1");
    let mut server = serve(&signed, &[]);
    let url = server.secure_url();
    let mut client = Program::connect(&[&url, "--ca", &first.file, "-w", "forever"]);
    let mut ahoy = move || {
        client.stdin.as_mut().unwrap().write_all(b"ahoy\n").unwrap();
        assert_eq!(client.line(), "ahoy");
    };
    ahoy();

    let renewed = second.sign("127.0.0.1");
    std::fs::copy(&renewed.cert, &signed.cert).unwrap();
    server.program.signal("HUP");
    let line = server.program.error_line();
    assert!(line.starts_with("certificate not reloaded, the old one stays: "), "{line}");
    assert!(line.contains(&signed.cert) || line.contains("belong together"), "{line}");
    assert_eq!(echoed(&url, &["--ca", &first.file]).code, Some(0));

    std::fs::copy(&renewed.key, &signed.key).unwrap();
    server.program.signal("HUP");
    let line = server.program.error_line();
    assert!(line.starts_with("certificate reloaded for 127.0.0.1, valid to 2100"), "{line}");
    assert_eq!(echoed(&url, &["--ca", &second.file]).code, Some(0));
    echoed(&url, &["--ca", &first.file]).failed(6, &[]);
    ahoy();
    server.program.signal("INT");
    assert_eq!(server.program.end().code, Some(0));
}

#[test]
fn who_speaks_something_else_is_told() {
    let root = Authority::new("Test Root");
    let server = serve(&root.sign("127.0.0.1"), &[]);
    echoed(&server.url(), &[]).failed(6, &["400", "wss://"]);
    let plain = Serve::start(&[]);
    echoed(&plain.secure_url(), &[]).failed(6, &["ws://"]);
    let url = peer(|mut stream| {
        // The beginning of a handshake, from the wrong end.
        stream.write_all(&[0x16, 3, 3, 0, 1, 0]).unwrap();
        read_to_end(stream);
    });
    echoed(&url, &[]).failed(6, &["wss://"]);
    let url = peer(read_to_end).replace("ws:", "wss:");
    Program::connect(&[&url, "--connect-timeout", "1s"])
        .end()
        .failed(124, &["TLS", "--connect-timeout"]);
}

#[test]
fn files_that_can_not_be_used_are_named() {
    let root = Authority::new("Test Root");
    let (one, two) = (root.sign("127.0.0.1"), root.sign("127.0.0.1"));
    let empty = file("empty.pem", "");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nTUlJ\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = file("encrypted.pem", encrypted);
    for (arguments, words) in [
        (&["serve", "--tls-cert", &one.cert][..], &["private key"][..]),
        (&["serve", "--tls-cert", "/nowhere.pem"], &["/nowhere.pem"]),
        (
            &["serve", "--tls-cert", &one.cert, "--tls-key", &encrypted],
            &[&encrypted, "is encrypted", "openssl pkey -in"],
        ),
        (
            &["serve", "--tls-cert", &one.key, "--tls-key", &one.cert],
            &[&one.key, "the wrong way round"],
        ),
        (
            &["connect", "wss://a", "--cert", &one.cert, "--key", &encrypted],
            &["--key", &encrypted, "the private key is encrypted", "openssl pkey -in"],
        ),
        (&["serve", "--tls-cert", &one.cert, "--tls-key", &two.key], &["don't match"]),
        (
            &["serve", "--tls-self-signed", "--tls-client-ca", &empty],
            &["--tls-client-ca", "no certificate"],
        ),
        (&["connect", "a", "--ca", &empty], &["--ca", &empty, "no certificate"]),
        (&["connect", "a", "--ca", "/nowhere.pem"], &["--ca", "/nowhere.pem"]),
        (&["connect", "a", "--cert", &one.cert], &["--cert", "without --key", "private key"]),
        (&["connect", "a", "--cert", &one.cert, "--key", "/nowhere"], &["--key", "/nowhere"]),
        (&["connect", "a", "--server-name", "a b"], &["--server-name", "a b"]),
    ] {
        Program::start(arguments).end().failed(2, words);
    }
    for arguments in [
        &["serve", "--tls-key", &one.key][..],
        &["serve", "--tls-client-ca", &root.file],
        &["serve", "--tls-self-signed", "--tls-cert", &one.cert],
        &["connect", "a", "--key", &one.key],
    ] {
        assert_eq!(Program::start(arguments).end().code, Some(2), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn threads_that_share_nothing_share_the_certificate() {
    let root = Authority::new("Test Root");
    let server = serve(&root.sign("127.0.0.1"), &["--threads", "2"]);
    for _ in 0..4 {
        assert_eq!(echoed(&server.secure_url(), &["--ca", &root.file]).code, Some(0));
    }
}

#[tokio::test]
async fn the_console_is_served_over_https() {
    let root = Authority::new("Test Root");
    let server = serve(&root.sign("127.0.0.1"), &[]);
    let tls = Tls::new().add_roots_pem(&std::fs::read(&root.file).unwrap()).unwrap();
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let mut stream = tls.only_added_roots().connect(tcp, "127.0.0.1").await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("<!doctype html>"), "{page}");
}
