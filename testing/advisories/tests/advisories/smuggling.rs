//! Requests that a proxy and a server understand differently.

use towline::{CloseCode, Server};

use crate::attacker::{Attacker, answer, echo, neighbour_is_served, request, status};

/// Sends this, and then what would be a valid request if the server began anew. It must answer once.
async fn answers_once(said: &str, expected: u16) {
    let mut server = Server::builder().build();
    let said = format!("{said}{}", request(""));
    let answer = answer(&server.handle(), said.as_bytes()).await;
    assert_eq!(status(&answer), expected, "{said}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    // Nor has the program heard of a request.
    server.unmount();
    tokio::select! {
        biased;
        request = server.next_request() => panic!("{request:?}"),
        () = tokio::time::sleep(crate::attacker::MINUTE) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn cve_2026_59898_an_upgrade_that_no_proxy_sees() {
    let valid = request("");
    for version in ["0", "7", "8", "13"] {
        let said = valid.replace("Version: 13", &format!("Version: {version}"));
        for missing in ["Upgrade: websocket\r\n", "Connection: Upgrade\r\n"] {
            let said = said.replace(missing, "");
            let server = echo(Server::builder());
            let answer = answer(&server, said.as_bytes()).await;
            assert_eq!(status(&answer), 426, "{version}: {answer}");
        }
    }
    for line in ["Connection: close", "Connection: xUpgrade", "Connection: \"Upgrade\""] {
        answers_once(&valid.replace("Connection: Upgrade", line), 426).await;
    }
    for line in ["Upgrade: websocket2", "Upgrade: h2c", "Upgrade:"] {
        answers_once(&valid.replace("Upgrade: websocket", line), 426).await;
    }
}

#[tokio::test(start_paused = true)]
async fn cve_2026_69243_a_body_behind_an_upgrade() {
    for framing in [
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 0\r\nContent-Length: 5",
        "Content-Length: +5",
        "Content-Length: 5, 5",
        "Content-Length: 0x5",
        "Content-Length: 18446744073709551616",
        " Content-Length: 5",
        "X: y\r\n Content-Length: 5",
        "X: y\nContent-Length: 5",
        "X\0: y",
    ] {
        answers_once(&request(&format!("{framing}\r\n")), 400).await;
    }
}

#[tokio::test(start_paused = true)]
async fn cve_2026_2833_a_request_behind_an_upgrade_that_is_refused() {
    answers_once(&request("Origin: https://evil.example\r\n").replace("13", "12"), 426).await;
    answers_once(&request("").replace("Version: 13", "Version: 1337"), 426).await;
    answers_once(&request("").replace("GET", "POST"), 405).await;
    answers_once("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", 426).await;
    // One that the program hears of, and that the policy for origins refuses.
    let server = Server::builder().auto_accept(true).build();
    let said = request("Origin: https://evil.example\r\n") + &request("");
    let answer = answer(&server.handle(), said.as_bytes()).await;
    assert_eq!((status(&answer), answer.matches("HTTP/1.1 ").count()), (403, 1), "{answer}");
    assert!(server.connections().is_empty());
}

#[tokio::test(start_paused = true)]
async fn cve_2026_130647_a_pipelined_upgrade() {
    let server = echo(Server::builder());
    // `G` is no frame that a client may send: its opcode is reserved, and a reserved bit is set.
    let mut attacker = Attacker::client_offering(&server, "X: y\r\n").await;
    assert!(attacker.says_bytes(request("").as_bytes()).await);
    assert_eq!(attacker.is_closed_with().await, CloseCode::PROTOCOL_ERROR);
    neighbour_is_served(&server).await;
}

#[tokio::test(start_paused = true)]
async fn ghsa_8wcc_wqxr_28qp_an_upgrade_to_another_protocol() {
    let server = echo(Server::builder());
    for upgrade in ["h2c", "TLS/1.0", "websocket2", "irc/6.9, rta/x11"] {
        let said = request("HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n")
            .replace("Upgrade: websocket", &format!("Upgrade: {upgrade}"));
        // The answer ends with the connection.
        assert_eq!(status(&answer(&server, said.as_bytes()).await), 426, "{upgrade}");
    }
    neighbour_is_served(&server).await;
}
