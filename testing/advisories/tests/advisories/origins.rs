//! Pages that connect to the servers of others (cross-site WebSocket hijacking).

use towline::{OriginPolicy, Server, ServerBuilder};

use crate::attacker::{Attacker, answer, echo, neighbour_is_served, request, status};

/// What a page of this origin gets, from a server with this host.
async fn page(builder: ServerBuilder, host: &str, origin: &str) -> u16 {
    let said = request(&format!("Origin: {origin}\r\nCookie: session=31d4\r\n"))
        .replace("Host: example.com", &format!("Host: {host}"));
    status(&answer(&echo(builder), said.as_bytes()).await)
}

#[tokio::test(start_paused = true)]
async fn cve_2020_14368_a_page_of_another_site() {
    for origin in [
        "https://evil.example",
        "http://example.com.evil.example",
        "http://evilexample.com",
        "http://sub.example.com",
        "http://example.com:8080",
        "null",
        "file://",
        "chrome-extension://example.com",
    ] {
        assert_eq!(page(Server::builder(), "example.com", origin).await, 403, "{origin}");
    }
    let server = echo(Server::builder());
    drop(Attacker::client_offering(&server, "Origin: http://example.com\r\n").await);
    neighbour_is_served(&server).await;
}

/// That a server listens on loopback keeps no browser away from it.
#[tokio::test(start_paused = true)]
async fn cve_2026_44211_a_page_and_a_server_on_loopback() {
    for host in ["127.0.0.1:3484", "localhost:3484", "[::1]:3484"] {
        for origin in ["https://evil.example", "http://localhost:3000", "http://127.0.0.1", "null"]
        {
            assert_eq!(page(Server::builder(), host, origin).await, 403, "{host} {origin}");
        }
    }
}

/// The check is the default, whichever way the program takes connections.
#[tokio::test(start_paused = true)]
async fn cve_2026_59390_a_server_whose_program_never_asks_for_origins() {
    for builder in [Server::builder(), Server::builder().auto_accept(true)] {
        assert_eq!(page(builder, "example.com", "https://evil.example").await, 403);
    }
    // A policy that the program sets is not widened by the default.
    let list = OriginPolicy::list(["https://app.example"]).unwrap();
    let builder = Server::builder().origins(list);
    assert_eq!(page(builder, "example.com", "http://example.com").await, 403);
}

#[tokio::test(start_paused = true)]
async fn ws_2020_0443_symbols_within_an_origin() {
    let list = || OriginPolicy::list(["http://example.com", "https://app.example"]).unwrap();
    for symbol in
        ["`", "$", "%60", "_", "!", "~", "'", "*", "{", "&", ";", "=", "+", "(", "\\", "@"]
    {
        for origin in [
            format!("http://example.com{symbol}.evil.example"),
            format!("http://example.com{symbol}evil.example"),
            format!("http://evil.example{symbol}example.com"),
            format!("https://app.example{symbol}"),
        ] {
            for builder in [Server::builder(), Server::builder().origins(list())] {
                let status = page(builder, "example.com", &origin).await;
                assert!(matches!(status, 400 | 403), "{origin}: {status}");
            }
        }
    }
}
