//! The token of the console (`--console-token`).

use crate::support::{Program, Serve, ask, ask_with_token, header};

const TOKEN: &str = "correct-horse-battery-staple";

fn status(head: &str) -> u16 {
    head[9..12].parse().unwrap()
}

/// A proxy on this machine that adds no header makes all its clients local. They do not know the token.
#[test]
fn a_client_of_a_silent_proxy_sees_nothing() {
    let server = Serve::start(&["--mode=topics"]);
    assert_eq!(server.token.len(), 32, "{}", server.token);
    let wrong = format!("X-Towline-Console: {}", "0".repeat(32));
    for headers in ["", "\nX-Towline-Console: 1", &format!("\n{wrong}")] {
        let (head, body) = ask(&server, &format!("GET /console/live.json{headers}"));
        assert_eq!(status(&head), 401, "{head}");
        assert_eq!(header(&head, "www-authenticate"), "x-towline-console");
        assert!(String::from_utf8(body).unwrap().contains("--console-token"));
        let (head, body) = ask(&server, &format!("GET /console/topics.json{headers}"));
        assert_eq!((status(&head), &*body), (200, &br#"{"mode":"topics","needs":"token"}"#[..]));
        let (head, _) = ask(&server, &format!("POST /console/close?id=1{headers}"));
        assert_eq!(status(&head), 401, "{head}");
    }
    // The console itself is for everybody.
    assert_eq!(status(&ask(&server, "GET /").0), 200);
    assert_eq!(status(&ask_with_token(&server, "GET /console/live.json").0), 200);
    assert_eq!(status(&ask_with_token(&server, "POST /console/close?id=1").0), 404);
    // A query is in the logs of proxies.
    let query = format!("GET /console/live.json?token={}", server.token);
    assert_eq!(status(&ask(&server, &query).0), 401);

    let other = Serve::start(&[]);
    assert_ne!(server.token, other.token);
}

#[test]
fn everybody_else_needs_it_too() {
    let server = Serve::start(&["--console=any"]);
    let far = "\nX-Forwarded-For: 192.0.2.1";
    assert_eq!(status(&ask(&server, &format!("GET /console/live.json{far}")).0), 401);
    assert_eq!(status(&ask_with_token(&server, &format!("GET /console/live.json{far}")).0), 200);
}

/// It is in no log then.
#[test]
fn a_token_that_was_chosen_is_not_printed() {
    let by_option = Program::start(&["serve", "--listen=127.0.0.1:0", "--console-token", TOKEN]);
    let variables = [("TOWLINE_CONSOLE_TOKEN", TOKEN)];
    let by_variable = Program::start_with(&variables, &["serve", "--listen=127.0.0.1:0"]);
    for mut program in [by_option, by_variable] {
        let line = program.line();
        let address = line.strip_prefix("listening on ").unwrap().parse().unwrap();
        assert_eq!(program.line(), format!("open http://{address}/ in a browser"));
        let server = Serve { program, address, token: TOKEN.to_owned() };
        assert_eq!(status(&ask(&server, "GET /console/live.json").0), 401);
        assert_eq!(status(&ask_with_token(&server, "GET /console/live.json").0), 200);
        server.program.signal("INT");
        let ended = server.program.end();
        assert!(!format!("{ended:?}").contains(TOKEN), "{ended:?}");
    }
}

#[test]
fn the_token_can_be_off() {
    let server = Serve::start(&["--console-token=off"]);
    assert_eq!(server.token, "");
    assert_eq!(status(&ask(&server, "GET /console/live.json").0), 200);
    // Pages of other origins can't send the header.
    let close = "POST /console/close?id=1";
    assert_eq!(status(&ask(&server, close).0), 403);
    assert_eq!(status(&ask(&server, &format!("{close}\nX-Towline-Console: none")).0), 404);
    assert_eq!(Serve::start(&["--console=off"]).token, "");
}

#[test]
fn a_token_that_is_none_is_refused_and_not_shown() {
    for arguments in [&["serve", "--console-token=hush-hush"][..], &["--console-token=hush-hush"]] {
        let ended = Program::start(arguments).end();
        ended.failed(2, &["--console-token has 9 characters", "16 to 256"]);
        assert!(!ended.stderr.contains("hush"), "{ended:?}");
    }
    let ended = Program::start_with(&[("TOWLINE_CONSOLE_TOKEN", "hush")], &["serve"]).end();
    ended.failed(2, &["TOWLINE_CONSOLE_TOKEN has 4 characters"]);
    let both = ["serve", "--console=off", "--console-token", TOKEN];
    Program::start(&both).end().failed(2, &["--console-token", "--console off"]);
}
