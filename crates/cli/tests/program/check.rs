//! `towline check`, on servers that are wrong in one way each, and on this program's own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::Value;

use crate::certificates::Authority;
use crate::flawed::{Flaw, server};
use crate::support::{Ended, Program, Serve, read_head};

fn check(arguments: &[&str]) -> Ended {
    let is_given = arguments.iter().any(|argument| argument.starts_with("--max-size"));
    let size = if is_given { &[][..] } else { &["--max-size=128KiB"] };
    Program::start(&[&["check", "--step-timeout=1s"], size, arguments].concat()).end()
}

/// The report, and the checks that found something: `ping: fault`.
fn examined(arguments: &[&str]) -> (Value, Vec<String>) {
    let ended = check(&[arguments, &["--json"]].concat());
    let report: Value = serde_json::from_str(ended.text()).unwrap_or_else(|_| panic!("{ended:?}"));
    assert_eq!(report["exit"], ended.code.unwrap(), "{ended:?}");
    let found = lines(&report).filter(|line| ["warning", "fault"].contains(&word(line, "level")));
    let found = found.map(|line| format!("{}: {}", word(line, "check"), word(line, "level")));
    let found = found.collect();
    (report, found)
}

pub(crate) fn lines(report: &Value) -> impl Iterator<Item = &Value> {
    report["checks"].as_array().unwrap().iter()
}

pub(crate) fn word<'a>(line: &'a Value, name: &str) -> &'a str {
    line[name].as_str().unwrap_or_default()
}

#[track_caller]
fn line<'a>(report: &'a Value, check: &str) -> &'a Value {
    let found = lines(report).find(|line| word(line, "check") == check);
    found.unwrap_or_else(|| panic!("{check} is not in {report:#}"))
}

/// Finds what is wrong with each, and nothing else. All are checked at the same time.
#[track_caller]
fn finds_each<const N: usize>(cases: [(Flaw, &[&str]); N]) -> [Value; N] {
    let caller = std::panic::Location::caller();
    let finding = cases.map(|(flaw, expected)| {
        let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
        (flaw, expected, std::thread::spawn(move || examined(&[&server(flaw)])))
    });
    finding.map(|(flaw, expected, examining)| {
        let (report, found) = examining.join().unwrap();
        assert_eq!(found, expected, "{flaw:?} at {caller}: {report:#}");
        report
    })
}

#[track_caller]
fn finds(flaw: Flaw, expected: &[&str]) -> Value {
    let [report] = finds_each([(flaw, expected)]);
    report
}

#[test]
fn a_server_that_does_all_right_is_fine() {
    let report = finds(Flaw::None, &[]);
    assert_eq!((word(&report, "verdict"), &report["exit"]), ("fine", &Value::from(0)));
    assert_eq!(line(&report, "limit")["values"]["accepted"], 65_536);
    assert!(report["connections"].as_u64().unwrap() <= 50, "{report:#}");
    for at in lines(&report) {
        assert!(!word(at, "seen").is_empty(), "{at}");
        let is_ok = ["ok", "not seen", "note"].contains(&word(at, "level"));
        assert!(is_ok || at["advice"].is_string(), "{at}");
    }
}

#[test]
fn this_programs_own_server_is_fine() {
    let plain = Serve::start(&[]);
    let (report, found) = examined(&[&plain.url()]);
    assert_eq!((found, word(&report, "verdict")), (vec![], "fine"), "{report:#}");
    assert_eq!(word(line(&report, "deflate"), "level"), "ok");

    let root = Authority::new("Test Root");
    let signed = root.sign("127.0.0.1");
    let files = ["--tls-cert", &signed.cert, "--tls-key", &signed.key, "--compress"];
    let secure = Serve::start_secure(&files);
    let (report, found) = examined(&[&secure.secure_url(), "--ca", &root.file]);
    assert_eq!((found, word(&report, "verdict")), (vec![], "fine"), "{report:#}");
    assert_eq!(line(&report, "tls")["values"]["version"], "TLS 1.3");
    assert_eq!(line(&report, "http2")["values"]["works"], true);
    for at in ["deflate-message", "deflate-garbage", "deflate-control", "deflate-echo"] {
        assert_eq!(word(line(&report, at), "level"), "ok", "{report:#}");
    }
    assert!(line(&report, "certificate")["values"]["days_left"].as_i64().unwrap() > 1000);
}

#[test]
fn a_handshake_that_is_not_checked_is_found() {
    finds_each([
        (Flaw::AnyOrigin, &["origin-foreign: warning"]),
        (Flaw::AnyVersion, &["version: fault"]),
        (Flaw::WrongAccept, &["handshake: fault"]),
        (Flaw::ChoosesUnknown, &["subprotocol-none: fault", "subprotocol-unknown: fault"]),
    ]);
}

#[test]
fn frames_that_are_not_refused_are_found() {
    finds_each([
        (Flaw::Unmasked, &["unmasked: fault"]),
        (Flaw::OverlooksMaskBit, &["unmasked: fault"]),
        (Flaw::ReservedBit, &["reserved-bit: fault", "reserved-bit-control: fault"]),
        (Flaw::ReservedOpcode, &["reserved-opcode: fault"]),
        // Its pong is as long.
        (Flaw::LongPing, &["control-length: fault", "sent: fault"]),
        (Flaw::Orphan, &["continuation: fault"]),
    ]);
}

#[test]
fn text_that_is_none_is_found() {
    let all = ["utf8: fault", "utf8-fragments: fault", "utf8-surrogate: fault"];
    finds_each([
        (Flaw::InvalidUtf8, &all),
        (Flaw::InvalidUtf8AcrossFragments, &["utf8-fragments: fault"]),
    ]);
}

#[test]
fn limits_that_do_not_hold_are_found() {
    let [report, _] =
        finds_each([(Flaw::NoLimit, &[]), (Flaw::DeclaredTerabyte, &["limit-declared: warning"])]);
    assert_eq!(line(&report, "limit")["values"]["accepted"], 131_072);
    let url = server(Flaw::LimitOfFrames);
    // Twice what was refused may be another limit, and not none.
    assert_eq!(word(line(&examined(&[&url]).0, "limit-fragments"), "level"), "note");
    let (report, found) = examined(&[&url, "--max-size=4MiB"]);
    assert_eq!(found, ["limit-fragments: warning"], "{report:#}");
}

#[test]
fn a_server_that_sends_what_it_must_not_is_found() {
    let [masks, pong] =
        finds_each([(Flaw::Masks, &["sent: fault"; 3]), (Flaw::OtherPong, &["ping: fault"])]);
    assert!(word(line(&masks, "sent"), "seen").contains("masked a "), "{masks:#}");
    assert!(word(line(&pong, "ping"), "seen").contains("a pong of 5 bytes"), "{pong:#}");
}

#[test]
fn a_close_that_does_not_complete_is_found() {
    let invalid = ["close-1005: warning", "close-999: warning", "close-reason: warning"];
    let echoed = ["close-1005: fault", "close-999: fault", "sent: fault", "sent: fault"];
    let [.., report] = finds_each([
        (Flaw::NoClose, &[&["close: fault"][..], &invalid].concat()),
        (Flaw::HoldsTcp, &["close: warning", "half-open: warning"]),
        (Flaw::EchoesAnyCode, &echoed),
        (Flaw::KeepsHalfOpen, &["half-open: warning"]),
        (Flaw::OtherCode, &[]),
    ]);
    let notes =
        lines(&report).filter(|at| word(at, "check") == "close" && word(at, "level") == "note");
    let notes: Vec<_> = notes.map(|at| at["values"]["codes"].to_string()).collect();
    assert_eq!(notes, [r#"["1000","3000","4000"]"#], "{report:#}");
}

/// Without an echo some things are not seen, and that is not held against the server.
#[test]
fn a_server_without_an_echo_is_no_faulty_one() {
    let [silent, report] = finds_each([(Flaw::NoEcho, &[]), (Flaw::ClosesAfterText, &[])]);
    assert_eq!(line(&silent, "message")["values"]["server"], "silent");
    for at in ["fragments", "limit"] {
        assert_eq!(word(line(&report, at), "level"), "not seen", "{report:#}");
    }
}

/// An end that closes owes no pong, no echo and no other code: that is one line, and the others are not seen.
#[test]
fn a_server_that_ends_each_connection_is_not_blamed_for_what_it_did_not_answer() {
    let reports = finds_each([
        (Flaw::ClosesAtOnce, &["open: warning"]),
        (Flaw::EndsAtOnce, &["open: warning"]),
    ]);
    let hows = ["with 4001 (\"token expired\")", "without a close frame"];
    for (report, how) in reports.iter().zip(hows) {
        let words = format!("the server ends each connection at once, {how}");
        assert_eq!(word(line(report, "open"), "seen"), words);
        let unseen = lines(report).filter(|at| word(at, "level") == "not seen");
        for at in unseen.filter(|at| word(at, "check") != "http2") {
            assert!(word(at, "seen").ends_with(&words), "{at}");
        }
        for at in ["ping", "message", "close", "half-open", "utf8", "limit", "limit-declared"] {
            assert_eq!(word(line(report, at), "level"), "not seen", "{report:#}");
        }
    }
    assert_eq!(line(&reports[0], "open")["values"]["code"], 4001);
}

#[test]
fn a_close_that_answers_nothing_is_no_fault_of_what_was_sent() {
    let [first, ping, foreign] = finds_each([
        (Flaw::ClosesFirst, &[]),
        (Flaw::ClosesOnPing, &[]),
        (Flaw::ClosesForeign, &[]),
    ]);
    assert_eq!(word(line(&first, "open"), "level"), "note", "{first:#}");
    assert_eq!(word(line(&first, "ping"), "level"), "ok", "{first:#}");
    assert_eq!(word(line(&ping, "ping"), "level"), "not seen", "{ping:#}");
    assert_eq!(word(line(&ping, "message"), "level"), "ok", "{ping:#}");
    let foreign = line(&foreign, "origin-foreign");
    let seen = "a foreign Origin is refused, with 4001 (\"token expired\"), after a 101";
    assert_eq!((word(foreign, "level"), word(foreign, "seen")), ("ok", seen));
}

#[test]
fn what_stands_between_is_told_from_its_answer() {
    for (flaw, words) in [
        (Flaw::StripsUpgrade, "proxy_set_header Upgrade"),
        (Flaw::AnswersWithAPage, "as if the request were a plain GET"),
        (Flaw::Redirects, "--follow-redirects"),
    ] {
        let (report, found) = examined(&[&server(flaw)]);
        assert_eq!(
            (found, &report["exit"]),
            (vec!["handshake: fault".to_owned()], &Value::from(4))
        );
        assert!(word(line(&report, "handshake"), "advice").contains(words), "{report:#}");
        assert!(!report.to_string().contains("s3cret"), "{report:#}");
    }
}

#[test]
fn a_server_that_says_nothing_ends_the_run() {
    for (flaw, exit) in [(Flaw::SaysNothing, 124), (Flaw::SpeaksNoHttp, 4)] {
        let (report, found) = examined(&[&server(flaw)]);
        let expected = (vec!["handshake: fault".to_owned()], &Value::from(exit));
        assert_eq!((found, &report["exit"]), expected, "{report:#}");
    }
    let (report, _) = examined(&["ws://127.0.0.1:1/"]);
    assert_eq!(report["exit"], 3, "{report:#}");
}

/// Neither one that sends without end nor one that does nothing any more.
#[test]
fn no_server_keeps_it_longer_than_its_time() {
    for flaw in [Flaw::Floods, Flaw::Hangs, Flaw::NoPong] {
        let (report, found) = examined(&[&server(flaw), "--timeout", "1s"]);
        let verdict = word(&report, "verdict");
        // A flood is seen before the time is over; that a server hangs is not.
        let is_seen = flaw == Flaw::Floods && !found.is_empty();
        let expected = if is_seen { "faulty" } else { "incomplete" };
        assert_eq!(verdict, expected, "{found:?}: {report:#}");
        let late = lines(&report).filter(|at| word(at, "seen").contains("--timeout"));
        assert!(late.count() > 0, "{report:#}");
    }
}

#[test]
fn only_strict_makes_warnings_count() {
    let url = server(Flaw::AnyOrigin);
    assert_eq!(check(&[&url]).code, Some(0));
    assert_eq!(check(&[&url, "--strict"]).code, Some(1));
}

#[test]
fn gently_nothing_is_broken() {
    let (report, found) = examined(&[&server(Flaw::Unmasked), "--gentle"]);
    assert_eq!(found, [""; 0], "{report:#}");
    assert!(report["connections"].as_u64().unwrap() <= 30, "{report:#}");
    assert!(lines(&report).all(|at| word(at, "check") != "unmasked"), "{report:#}");
}

#[test]
fn an_idle_connection_is_held() {
    let (report, _) = examined(&[&server(Flaw::None), "--idle", "300ms"]);
    assert_eq!(word(line(&report, "idle"), "level"), "ok", "{report:#}");
}

#[test]
fn an_idle_connection_that_does_not_last_is_held_again_with_pings() {
    let (report, found) = examined(&[&server(Flaw::EndsIdle), "--max-size=4KiB", "--idle", "4s"]);
    assert_eq!(found, ["idle: warning"], "{report:#}");
    assert_eq!(word(line(&report, "idle-pings"), "level"), "ok", "{report:#}");
}

#[test]
fn the_subprotocol_that_is_chosen_is_one_of_those_offered() {
    let url = server(Flaw::None);
    let (report, found) = examined(&[&url, "--protocol", "chat.v2", "--max-size=4KiB"]);
    assert_eq!(found, [""; 0], "{report:#}");
    assert_eq!(line(&report, "subprotocol")["values"]["chosen"], "chat.v2");
    let (report, found) = examined(&[&url, "--protocol", "chat.v1", "--max-size=4KiB"]);
    assert_eq!(found, ["subprotocol: warning"], "{report:#}");
}

#[test]
fn a_certificate_says_when_it_ends_also_if_it_is_not_trusted() {
    let root = Authority::new("Test Root");
    let signed = root.sign("127.0.0.1");
    let server = Serve::start_secure(&["--tls-cert", &signed.cert, "--tls-key", &signed.key]);
    let (report, found) = examined(&[&server.secure_url()]);
    assert_eq!((found, &report["exit"]), (vec!["tls: fault".to_owned()], &Value::from(6)));
    assert!(word(line(&report, "certificate"), "seen").contains("127.0.0.1"), "{report:#}");
    let old = root.sign_until("127.0.0.1", 2021);
    let late = Serve::start_secure(&["--tls-cert", &old.cert, "--tls-key", &old.key]);
    let (report, found) = examined(&[&late.secure_url(), "--ca", &root.file]);
    assert_eq!(found, ["tls: fault", "certificate: fault"], "{report:#}");
    assert!(word(line(&report, "certificate"), "seen").contains("2021-03-04"), "{report:#}");
    let name = format!("wss://localhost:{}/", server.address.port());
    let (report, found) = examined(&[&name, "--ca", &root.file]);
    assert_eq!((found, &report["exit"]), (vec!["tls: fault".to_owned()], &Value::from(6)));
    assert!(word(line(&report, "tls"), "advice").contains("subjectAltName"), "{report:#}");
}

#[test]
fn no_secret_is_shown() {
    let url = server(Flaw::None).replace("ws://", "ws://deckhand:s3cret@") + "?token=s3cret";
    for options in [&["--json"][..], &[]] {
        let header = ["-H", "Authorization: Bearer s3cret"];
        let ended = check(&[&[&*url], &header[..], options].concat());
        let shown = format!("{}{}", ended.stderr, ended.text());
        assert_eq!(ended.code, Some(0), "{shown}");
        assert!(!shown.contains("s3cret") && !shown.contains("deckhand"), "{shown}");
    }
    for url in ["ws://deckhand:s3cret@h:70000/", "ws://deckhand:s3cret@a b/"] {
        let ended = check(&[url]);
        ended.failed(2, &[]);
        assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
    }
}

#[test]
fn people_read_columns_and_a_verdict() {
    let ended = check(&[&server(Flaw::AnyOrigin)]);
    let text = ended.text();
    assert!(text.starts_with("checking ws://127.0.0.1:"), "{text}");
    assert!(
        text.contains(
            "\nok        ping                   pongs with the same payload; round trip "
        ),
        "{text}"
    );
    assert!(text.contains("\nwarning   origin-foreign         a page of any site"), "{text}");
    assert!(text.contains("\n                                 -> if the handshake"), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("warnings: 0 faults, 1 warning, "), "{last}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

/// A proxy for many clients: SOCKS5 if the first byte says so, otherwise CONNECT. It wants a password.
fn proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            std::thread::spawn(move || through(client.unwrap()));
        }
    });
    address.to_string()
}

/// Lets a client through to its target. One that only dials gets nothing.
fn through(mut client: TcpStream) -> Option<()> {
    let mut first = [0];
    client.peek(&mut first).ok().filter(|count| *count > 0)?;
    let server = if first == [5] {
        let mut hello = [0; 4];
        client.read_exact(&mut hello).ok()?;
        assert_eq!(hello, [5, 2, 0, 2]);
        client.write_all(&[5, 2]).ok()?;
        let mut login = [0; 17];
        client.read_exact(&mut login).ok()?;
        assert_eq!(&login, b"\x01\x08deckhand\x06s3cret");
        client.write_all(&[1, 0]).ok()?;
        let mut request = [0; 10];
        client.read_exact(&mut request).ok()?;
        assert_eq!(&request[..8], &[5, 1, 0, 1, 127, 0, 0, 1]);
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
        TcpStream::connect(("127.0.0.1", u16::from_be_bytes([request[8], request[9]]))).ok()?
    } else {
        let head = String::from_utf8(read_head(&mut client)).unwrap();
        assert!(head.to_lowercase().contains("proxy-authorization: basic "), "{head}");
        let server = TcpStream::connect(head.split(' ').nth(1)?).ok()?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
        server
    };
    carry(client, server)
}

/// Carries bytes both ways, until the server has no more.
fn carry(client: TcpStream, server: TcpStream) -> Option<()> {
    let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let (mut back, mut here) = (server, client);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut back, &mut here);
    here.shutdown(std::net::Shutdown::Write).ok()
}

#[test]
fn it_goes_through_a_proxy_as_connect_does() {
    let url = server(Flaw::None);
    for scheme in ["http", "socks5h"] {
        let place = proxy();
        let option = format!("{scheme}://deckhand:s3cret@{place}");
        let (report, found) = examined(&[&url, "--proxy", &option]);
        assert_eq!(found, [""; 0], "{report:#}");
        let seen = word(line(&report, "address"), "seen");
        assert!(seen.contains(&format!("://{place};")) && !seen.contains("s3cret"), "{seen}");
    }
    let place = proxy();
    let variable = format!("http://deckhand:s3cret@{place}");
    let arguments = ["check", "--max-size=4KiB", "--json", &url];
    let ended = Program::start_with(&[("all_proxy", &variable)], &arguments).end();
    assert!(ended.code == Some(0) && ended.text().contains(&place), "{ended:?}");
    assert!(!ended.text().contains("s3cret"), "{ended:?}");
    let none = [("all_proxy", &variable[..]), ("no_proxy", "127.0.0.1")];
    let ended = Program::start_with(&none, &arguments).end();
    assert!(ended.code == Some(0) && !ended.text().contains(&place), "{ended:?}");
    let malformed = [("all_proxy", "ftp://deckhand:s3cret@a")];
    Program::start_with(&malformed, &arguments).end().failed(2, &["all_proxy"]);
    let ended = check(&[&url, "--proxy", "ftp://deckhand:s3cret@a"]);
    ended.failed(2, &["--proxy"]);
    assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
}

/// With TLS or without, the fault is the proxy's, and the server's is not asked.
#[test]
fn a_proxy_that_refuses_is_code_3() {
    let denied = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut first = [0];
            if client.peek(&mut first).is_ok_and(|count| count > 0) {
                read_head(&mut client);
                let _ = client.write_all(denied.as_bytes());
            }
        }
    });
    for (url, at) in [("ws://server.invalid", "proxy"), ("wss://server.invalid", "tls")] {
        let (report, found) = examined(&[url, "--proxy", &format!("http://{place}")]);
        assert_eq!((found, &report["exit"]), (vec![format!("{at}: fault")], &Value::from(3)));
        let seen = word(line(&report, at), "seen");
        assert!(
            seen.contains("refused to connect to server.invalid") && seen.contains("403"),
            "{seen}"
        );
    }
}

#[test]
fn a_redirect_is_followed_if_that_is_wanted() {
    let there = format!("{}feed", server(Flaw::None));
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n"
    );
    let here = crate::support::peer(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let (report, found) = examined(&[&here, "--follow-redirects", "1"]);
    assert_eq!((found, word(&report, "url")), (vec![], &*there), "{report:#}");
    assert_eq!(word(line(&report, "redirect"), "level"), "note");
}

/// The address of a server that decides for each client.
fn before(treat: impl Fn(TcpStream) -> Option<()> + Copy + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            std::thread::spawn(move || treat(client.unwrap()));
        }
    });
    address
}

/// The query is not shown, as it may be secret.
#[test]
fn a_redirect_to_another_query_is_followed() {
    let there: SocketAddr =
        server(Flaw::None)["ws://".len()..].trim_end_matches('/').parse().unwrap();
    let here = before(move |mut client| {
        let mut first = [0; 64];
        client.peek(&mut first).ok().filter(|count| *count > 0)?;
        if !first.starts_with(b"GET /?a=1 ") {
            return carry(client, TcpStream::connect(there).ok()?);
        }
        read_head(&mut client);
        let answer =
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: /?b=2\r\nContent-Length: 0\r\n\r\n";
        client.write_all(answer.as_bytes()).ok()
    });
    let url = format!("ws://{here}/?a=1");
    let (report, found) = examined(&[&url, "--follow-redirects", "1"]);
    assert_eq!(found, [""; 0], "{report:#}");
    assert_eq!(word(line(&report, "redirect"), "level"), "note");
}

/// A stream that does not come to be is no fault of HTTP/2.
#[test]
fn http2_is_not_judged_without_a_stream() {
    let server = Serve::start_secure(&["--tls-self-signed"]);
    let there = server.address;
    let here = before(move |client| {
        let mut hello = [0; 4096];
        let count = client.peek(&mut hello).ok()?;
        let offers = |name: &[u8]| hello[..count].windows(name.len()).any(|part| part == name);
        if offers(b"\x02h2") && !offers(b"http/1.1") {
            // Until the client leaves.
            (&client).read_to_end(&mut Vec::new()).ok()?;
            return None;
        }
        carry(client, TcpStream::connect(there).ok()?)
    });
    let (report, _) = examined(&[&format!("wss://{here}/"), "--insecure"]);
    let line = line(&report, "http2");
    assert_eq!(word(line, "level"), "not seen", "{report:#}");
    assert!(word(line, "seen").contains("(--step-timeout)"), "{report:#}");
}

/// Reports are given to others, and pages offer a token as a subprotocol.
#[test]
fn a_token_in_place_of_a_subprotocol_is_not_in_the_report() {
    let server = Serve::start(&["--protocol", "access_token"]);
    for token in [["access_token", "s3cret"], ["chat", "bearer.s3cret"]] {
        let [one, other] = token;
        let (report, _) = examined(&[&server.url(), "--protocol", one, "--protocol", other]);
        let line = line(&report, "subprotocol");
        assert_eq!(line["values"]["offered"], serde_json::json!([one, "(hidden)"]), "{line}");
        assert!(!report.to_string().contains("s3cret"), "{report:#}");
    }
}
