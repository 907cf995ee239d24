//! `towline connect` through proxies, and after redirects.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use crate::certificates::{Authority, file};
use crate::support::{Ended, Program, Serve, peer, read_head, read_to_end};

/// An HTTP proxy that lets one client through to where it wants, and tells what it was asked.
fn proxy() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, what) = mpsc::channel();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let head = String::from_utf8(read_head(&mut client)).unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        asked.send(head).unwrap();
        let mut server = TcpStream::connect(target).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut server, &mut client);
    });
    (address, what)
}

/// A proxy, or a server, that gives its one client this answer.
fn answering(answer: impl Into<String>) -> String {
    let answer = answer.into();
    peer(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        read_to_end(stream);
    })
}

fn echoed(url: &str, options: &[&str]) -> Ended {
    Program::connect(&[&[url, "-m", "ahoy", "-w", "1"], options].concat()).end()
}

fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_proxy_lets_through_and_nobody_sees_its_password() {
    let root = Authority::new("Test Root");
    let signed = root.sign("127.0.0.1");
    let server = Serve::start_secure(&["--tls-cert", &signed.cert, "--tls-key", &signed.key]);
    let (address, asked) = proxy();
    let option = format!("http://deckhand:s3cret@{address}");
    let ended = echoed(&server.secure_url(), &["--proxy", &option, "--ca", &root.file, "-v"]);
    assert_eq!((ended.code, ended.text()), (Some(0), "ahoy\n"), "{ended:?}");
    assert!(ended.stderr.contains(&format!("through the proxy http://{address}\n")), "{ended:?}");
    assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
    let asked = asked.recv().unwrap();
    assert!(asked.starts_with(&format!("CONNECT {} HTTP/1.1", server.address)), "{asked}");
    assert!(asked.to_lowercase().contains("proxy-authorization: basic "), "{asked}");
}

#[test]
fn the_environment_names_a_proxy_unless_there_is_to_be_none() {
    let server = Serve::start(&[]);
    let url = server.url();
    let (address, asked) = proxy();
    let variable = format!("http://{address}");
    let arguments = ["connect", "--timeout=60s", &url, "-m", "ahoy", "--json", "-w", "1"];
    let plainly = [&arguments[..5], &arguments[6..]].concat();
    let ended = Program::start_with(&[("all_proxy", &variable)], &arguments).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.text().contains(&format!("\"proxy\":\"{variable}\"")), "{ended:?}");
    asked.recv().unwrap();

    let dead = format!("http://{}", nobody());
    let variables = [("all_proxy", &dead[..])];
    Program::start_with(&variables, &plainly).end().failed(3, &["proxy", "--no-proxy"]);
    let without = [&arguments[..], &["--no-proxy"]].concat();
    assert_eq!(Program::start_with(&variables, &without).end().code, Some(0));
    let excepted = [("all_proxy", &dead[..]), ("no_proxy", "127.0.0.1")];
    assert_eq!(Program::start_with(&excepted, &arguments).end().code, Some(0));
    let malformed = [("all_proxy", "ftp://deckhand:s3cret@a")];
    let ended = Program::start_with(&malformed, &plainly).end();
    ended.failed(2, &["all_proxy"]);
    assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
}

#[test]
fn a_proxy_that_refuses_is_code_3() {
    let through = |proxy: &str| {
        echoed("ws://server.example/", &["--proxy", &proxy.replace("ws://", "http://")])
    };
    let denied = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    through(&answering(denied)).failed(3, &["407", "--proxy", "user:password"]);
    let given = answering(denied).replace("ws://", "ws://deckhand:s3cret@");
    let ended = through(&given);
    ended.failed(3, &["407", "it does not accept this user and password"]);
    assert!(!ended.stderr.contains("user:password"), "{ended:?}");
    let failed = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n\
                  no such host";
    through(&answering(failed)).failed(3, &["502", "no such host"]);
    through(&answering("ship ahoy\r\n\r\n")).failed(3, &["proxy"]);
    through(&format!("http://{}", nobody())).failed(3, &["can't connect to the proxy"]);
}

#[test]
fn what_can_be_no_proxy_is_code_2_and_its_password_is_not_shown() {
    let ended = echoed("ws://server.example/", &["--proxy", "ftp://deckhand:s3cret@a"]);
    ended.failed(2, &["--proxy", "socks5"]);
    assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
    let both = echoed("ws://server.example/", &["--proxy", "http://a", "--no-proxy"]);
    assert_eq!(both.code, Some(2));
}

#[test]
fn redirects_are_followed_as_far_as_is_wanted() {
    let server = Serve::start(&[]);
    let to = |url: &str| {
        answering(format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {url}\r\n\r\n"))
    };
    let there = format!("{}feed", server.url());
    echoed(&to(&there), &[]).failed(4, &["307", "--follow-redirects"]);
    let ended = echoed(&to(&there), &["--follow-redirects", "1", "-v"]);
    assert_eq!((ended.code, ended.text()), (Some(0), "ahoy\n"), "{ended:?}");
    assert!(ended.stderr.contains(&format!("connected to {there} at ")), "{ended:?}");
    let twice = to(&to(&there));
    echoed(&twice, &["--follow-redirects", "1"]).failed(4, &["more than 1", "--follow-redirects"]);
}

#[test]
fn a_password_in_the_url_is_shown_nowhere() {
    let server = Serve::start(&[]);
    let url = server.url().replace("ws://", "ws://deckhand:s3cret@");
    for options in [&["-v"][..], &["--json"]] {
        let ended = echoed(&url, options);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!format!("{ended:?}{}", ended.text()).contains("s3cret"), "{ended:?}");
    }
}

/// A proxy that lets clients through one after the other, and cuts each off when it is told to.
fn cutting_proxy() -> (SocketAddr, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (cut, is_cut) = mpsc::channel();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let head = String::from_utf8(read_head(&mut client)).unwrap();
            let server = TcpStream::connect(head.split(' ').nth(1).unwrap()).unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
            if is_cut.recv().is_err() {
                return;
            }
            for stream in [client, server] {
                stream.shutdown(std::net::Shutdown::Both).unwrap();
            }
        }
    });
    (address, cut)
}

/// TLS through a proxy that fails, with compression, a subprotocol, first messages and a recording.
#[test]
fn a_lost_connection_comes_back_through_the_proxy_and_over_tls() {
    let root = Authority::new("Test Root");
    let signed = root.sign("127.0.0.1");
    let options = ["--tls-cert", &signed.cert, "--tls-key", &signed.key];
    let more = ["--protocol", "chat.v1", "--compress"];
    let server = Serve::start_secure(&[options, [more[0], more[1], more[2], "-v"]].concat());
    let (address, cut) = cutting_proxy();
    let proxy = format!("http://{address}");
    let init = file("hello.txt", "hello\n");
    let record = file("twice.jsonl", "");
    let url = server.secure_url();
    let arguments = [
        &url,
        "--proxy",
        &proxy,
        "--ca",
        &root.file,
        "--reconnect",
        "--wait",
        "forever",
        "--init",
        &init,
        "--record",
        &record,
        "-v",
    ];
    let mut client = Program::connect(&[&arguments[..], &more].concat());
    assert_eq!(client.line(), "hello");
    cut.send(()).unwrap();
    assert_eq!(client.line(), "hello");
    client.signal("INT");
    let ended = client.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let opened = format!("connected to {url} through the proxy {proxy}, speaking chat.v1, with ");
    assert_eq!(ended.stderr.matches(&opened).count(), 2, "{ended:?}");
    assert_eq!(ended.stderr.matches("connecting again in ").count(), 1, "{ended:?}");
    let recorded = std::fs::read_to_string(record).unwrap();
    for (kind, count) in [("open", 2), ("text", 4), ("close", 2)] {
        let kind = format!("\"kind\":\"{kind}\"");
        assert_eq!(recorded.matches(&kind).count(), count, "{recorded}");
    }
}
