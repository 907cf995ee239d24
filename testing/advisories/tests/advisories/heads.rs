//! Heads that cost time or memory, or crash a parser.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::time::{Instant, timeout};
use towline::{HeadLimits, Server};

use crate::attacker::{
    MINUTE, answer, echo, head, neighbour_is_served, pass_time, request, status,
};
use crate::memory::peak;

/// A server that reads heads of any length. Work that is quadratic in a mebibyte would take an hour.
fn patient() -> towline::ServerBuilder {
    Server::builder().head_limits(HeadLimits::default().max_head_size(4 << 20))
}

/// Sends a request with these lines to a server that reads all of it, and then one to the server as
/// it is by default.
async fn long_header(lines: String, expected: u16) {
    let server = echo(patient());
    let (mut near, far) = duplex(1 << 20);
    server.serve(far, None);
    near.write_all(request(&lines).as_bytes()).await.unwrap();
    assert_eq!(status(&head(&mut near).await), expected);
    neighbour_is_served(&server).await;
    let server = echo(Server::builder());
    assert_eq!(status(&answer(&server, request(&lines).as_bytes()).await), 431);
    neighbour_is_served(&server).await;
}

#[tokio::test(start_paused = true)]
async fn cve_2020_7662_and_7663_an_unclosed_string_of_an_extension_parameter() {
    let string = "\\c".repeat(1 << 19);
    long_header(format!("Sec-WebSocket-Extensions: a; b=\"{string}\r\n"), 400).await;
}

#[tokio::test(start_paused = true)]
async fn cve_2021_32640_spaces_within_a_list_of_subprotocols() {
    let spaces = " ".repeat(1 << 20);
    long_header(format!("Sec-WebSocket-Protocol: b{spaces}x\r\n"), 400).await;
}

#[tokio::test(start_paused = true)]
async fn cve_2024_37890_more_headers_than_the_limit() {
    let server = echo(Server::builder());
    for count in [101, 2_000] {
        let headers = (0..count).fold(String::new(), |mut headers, index| {
            write!(headers, "x{index}: x\r\n").unwrap();
            headers
        });
        // The headers of the handshake come first, and then last.
        let first = request("").replace("\r\n\r\n", &format!("\r\n{headers}\r\n"));
        let last = request("").replacen("\r\n", &format!("\r\n{headers}"), 1);
        for said in [first, last] {
            assert_eq!(status(&answer(&server, said.as_bytes()).await), 431, "{count}");
        }
    }
    neighbour_is_served(&server).await;
}

#[test]
fn cve_2023_43669_a_header_of_20_million_bytes_in_many_writes() {
    let most = peak(async {
        let server = echo(Server::builder());
        let (mut near, far) = duplex(1 << 10);
        server.serve(far, None);
        let start = request("").replace("\r\n\r\n", "\r\nX: ");
        near.write_all(start.as_bytes()).await.unwrap();
        let mut taken = 0;
        while taken < 20_000 && near.write_all(&[b'x'; 1_000]).await.is_ok() {
            taken += 1;
            pass_time(taken, 1_000).await;
        }
        assert!(taken < 15_000, "{taken} kB taken");
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        assert_eq!(status(std::str::from_utf8(&answer).unwrap()), 431);
        neighbour_is_served(&server).await;
    });
    assert!(most < 128 << 10, "{most} bytes");
}

#[tokio::test(start_paused = true)]
async fn ghsa_5v72_xg48_5rpm_names_of_built_in_properties_as_extensions() {
    let server = echo(Server::builder());
    let names = ["constructor", "__proto__", "toString", "hasOwnProperty", "a;constructor"];
    for name in names {
        let lines = format!(
            "Sec-WebSocket-Extensions: {name}\r\nSec-WebSocket-Protocol: constructor, __proto__\r\n\
             Cookie: __proto__=1; constructor=2\r\n__proto__: 3\r\n"
        );
        let (mut near, far) = duplex(4 << 10);
        server.serve(far, None);
        near.write_all(request(&lines).as_bytes()).await.unwrap();
        let answer = head(&mut near).await;
        assert_eq!(status(&answer), 101, "{name}");
        assert!(!answer.to_lowercase().contains("sec-websocket-extensions"), "{answer}");
    }
    // As far as the grammar goes.
    let invalid = request("Sec-WebSocket-Extensions: ,;constructor\r\n");
    assert_eq!(status(&answer(&server, invalid.as_bytes()).await), 400);
    neighbour_is_served(&server).await;
}

/// Sends the beginning of a request and then nothing, or one byte every second.
#[tokio::test(start_paused = true)]
async fn cve_2007_6750_a_head_that_never_ends() {
    let server = echo(Server::builder());
    let began = Instant::now();
    let whole = request("");
    for length in [0, 1, 20, whole.len() - 1] {
        for drips in [false, true] {
            let (mut near, far) = duplex(1 << 10);
            server.serve(far, None);
            near.write_all(&whole.as_bytes()[..length]).await.unwrap();
            let (mut reading, mut writing) = tokio::io::split(near);
            let started = Instant::now();
            let dripping = tokio::spawn(async move {
                // A header that has no end, where the head has begun.
                while drips && writing.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                writing
            });
            let mut answer = String::new();
            timeout(MINUTE, reading.read_to_string(&mut answer)).await.expect("an end").unwrap();
            assert_eq!(status(&answer), 408, "{length} {drips}");
            assert!(started.elapsed() <= Duration::from_secs(11), "{:?}", started.elapsed());
            dripping.await.unwrap();
        }
    }
    assert!(began.elapsed() < Duration::from_secs(90));
    neighbour_is_served(&server).await;
}

#[test]
fn cve_2020_36048_a_large_post() {
    let most = peak(async {
        let server = echo(Server::builder());
        let body = vec![b'x'; 1 << 10];
        for framing in ["Content-Length: 104857600", "Transfer-Encoding: chunked"] {
            let (mut near, far) = duplex(1 << 10);
            server.serve(far, None);
            let post = format!("POST / HTTP/1.1\r\nHost: example.com\r\n{framing}\r\n\r\n");
            near.write_all(post.as_bytes()).await.unwrap();
            let mut taken = 0;
            while taken < 100_000 && near.write_all(&body).await.is_ok() {
                taken += 1;
                pass_time(taken, 1_000).await;
            }
            assert!(taken < 15_000, "{taken} KiB taken");
            let mut answer = Vec::new();
            near.read_to_end(&mut answer).await.unwrap();
            assert_eq!(status(std::str::from_utf8(&answer).unwrap()), 405);
        }
        neighbour_is_served(&server).await;
    });
    assert!(most < 256 << 10, "{most} bytes");
}

#[tokio::test(start_paused = true)]
async fn cve_2022_21676_requests_that_are_odd_but_well_formed() {
    let server = echo(Server::builder());
    let valid = request("");
    for (said, expected) in [
        (valid.replace("GET / ", "GET /?EIO=4&transport=websocket&sid=__proto__ "), 101),
        (valid.replace("GET / ", "GET * "), 400),
        (valid.replace("GET / ", "GET // "), 101),
        (valid.replace("GET / ", "GET /%00%ff%2e%2e/ "), 101),
        (valid.replace("GET / ", "GET http://example.com/ "), 101),
        (valid.replace("GET / ", "GET :80 "), 400),
        (valid.replace("GET / ", "OPTIONS * "), 405),
        (valid.replace("GET / ", "CONNECT example.com:80 "), 405),
        (valid.replace("Version: 13", "Version: 4294967309"), 426),
        (valid.replace("Version: 13", "Version: -13"), 426),
        (valid.replace("Version: 13", "Version: 256"), 426),
    ] {
        if expected == 101 {
            let (mut near, far) = duplex(1 << 10);
            server.serve(far, None);
            near.write_all(said.as_bytes()).await.unwrap();
            assert_eq!(status(&head(&mut near).await), 101, "{said}");
        } else {
            assert_eq!(status(&answer(&server, said.as_bytes()).await), expected, "{said}");
        }
    }
    neighbour_is_served(&server).await;
}

/// RFC 9112, section 3.2: no form of a target has a fragment.
#[tokio::test(start_paused = true)]
async fn cve_2026_129502_a_fragment_in_the_target() {
    let server = echo(Server::builder());
    for target in ["/#a", "/a?b#c", "#", "/##", "/#", "http://example.com/#a"] {
        let said = request("").replace("GET / ", &format!("GET {target} "));
        assert_eq!(status(&answer(&server, said.as_bytes()).await), 400, "{target}");
    }
    // Escaped, it is a part of the path.
    let said = request("").replace("GET / ", "GET /%23a ");
    let (mut near, far) = duplex(1 << 10);
    server.serve(far, None);
    near.write_all(said.as_bytes()).await.unwrap();
    assert_eq!(status(&head(&mut near).await), 101);
    neighbour_is_served(&server).await;
}
