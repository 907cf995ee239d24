//! Our client with `openssl s_server`.

use std::net::SocketAddr;

use towline::{ErrorKind, Tls};
use towline_kit::programs::Program;

use super::dialogue::Dialogue;
use crate::bounded::soon;
use crate::certificates::{Authority, Signed, shown};
use crate::conversation::{direct, refused};
use crate::program::run;

/// Starts a server that answers every request with a status page.
fn s_server(certificate: &Signed, more: &[&str]) -> (Program, String) {
    let (program, [address]) = Program::listening(|_, [address]: [SocketAddr; 1]| {
        let (chain, key) = (shown(&certificate.chain), shown(&certificate.key));
        let here =
            ["-accept", &address.to_string(), "-cert", &chain, "-key", &key].map(str::to_owned);
        let words = ["openssl", "s_server", "-www"].map(str::to_owned).into_iter().chain(here);
        words.chain(more.iter().map(|word| (*word).to_owned())).collect()
    });
    (program, format!("wss://localhost:{}/", address.port()))
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn a_web_page_is_no_websocket() {
    let authority = Authority::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let (_program, url) = s_server(&authority.server("server"), &[version]);
        let error = refused(&direct(authority.trusted()), &url).await;
        assert_eq!(error.kind(), ErrorKind::HttpResponse);
        let response = error.response().unwrap();
        assert_eq!(response.status(), 200);
        assert!(String::from_utf8_lossy(response.body()).contains("s_server"), "{response:?}");
    }
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn certificates_that_are_no_good_are_told_apart() {
    let authority = Authority::new();
    let somebody_else = Authority::new();
    let trusted = || direct(authority.trusted());
    for (certificate, kind) in [
        (authority.sign("expired", "DNS:localhost", -1), ErrorKind::CertificateExpired),
        (authority.sign("elsewhere", "DNS:feed.example", 30), ErrorKind::CertificateName),
        (authority.by_itself("itself"), ErrorKind::CertificateUntrusted),
        (somebody_else.server("theirs"), ErrorKind::CertificateUntrusted),
    ] {
        let (_program, url) = s_server(&certificate, &[]);
        assert_eq!(refused(&trusted(), &url).await.kind(), kind);
        // The same with the roots of the system.
        let error = refused(&direct(Tls::new()), &url).await;
        assert!(
            [kind, ErrorKind::CertificateUntrusted].contains(&error.kind()),
            "{:?}: {error}",
            error.kind()
        );
        let anything = Tls::new().dangerously_accept_any_certificate();
        let error = refused(&direct(anything), &url).await;
        assert_eq!(error.kind(), ErrorKind::HttpResponse, "{error}");
    }
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn it_wants_a_certificate_of_the_client() {
    let authority = Authority::new();
    let ours = authority.server("client");
    let root = shown(&authority.root());
    for version in ["-tls1_2", "-tls1_3"] {
        let options = [version, "-Verify", "1", "-verify_return_error", "-CAfile", &root];
        let (_program, url) = s_server(&authority.server("server"), &options);
        let error = refused(&direct(authority.trusted()), &url).await;
        // TLS 1.2 has no specific alert for it.
        let kind = if version == "-tls1_2" { ErrorKind::Tls } else { ErrorKind::ClientCertificate };
        assert_eq!(error.kind(), kind, "{version}: {error}");
        let stranger = authority.by_itself("stranger").shown_by(authority.trusted());
        let error = refused(&direct(stranger), &url).await;
        assert_eq!(error.kind(), ErrorKind::ClientCertificate, "{version}: {error}");
        let error = refused(&direct(ours.shown_by(authority.trusted())), &url).await;
        assert_eq!(error.kind(), ErrorKind::HttpResponse, "{version}: {error}");
    }
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn a_handshake_without_anything_in_common_is_an_error() {
    let authority = Authority::new();
    for options in [&["-alpn", "h2"][..], &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]] {
        let (_program, url) = s_server(&authority.server("server"), options);
        let error = refused(&direct(authority.trusted()), &url).await;
        assert!(error.is_tls(), "{options:?}: {error}");
    }
    // Without TLS at this end, the server sends no specific answer.
    let (_program, url) = s_server(&authority.server("server"), &[]);
    let error = refused(&direct(Tls::new()), &url.replace("wss://", "ws://")).await;
    assert_eq!(error.kind(), ErrorKind::Handshake, "{error}");
}

/// Returns `SHA-1(key + GUID)` as base64: the answer of a server.
fn accept(key: &str) -> String {
    let script = r#"printf %s "$1" | openssl dgst -sha1 -binary | openssl base64"#;
    let key = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    run("sh", ["-c", script, "sh", &key]).trim().to_owned()
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn a_websocket_by_hand_is_one_if_the_answer_is_right() {
    let authority = Authority::new();
    let signed = authority.server("server");
    for (version, name) in [("-tls1_2", "TLS 1.2"), ("-tls1_3", "TLS 1.3")] {
        for is_right in [true, false] {
            let (chain, key) = (shown(&signed.chain), shown(&signed.key));
            let mut server = Dialogue::with_openssl([
                "s_server",
                version,
                "-accept",
                "127.0.0.1:0",
                "-cert",
                &chain,
                "-key",
                &key,
            ]);
            let said = server.hears("ACCEPT 127.0.0.1:").await;
            let said = if said.ends_with('\n') { said } else { server.hears("\n").await };
            let port = said.split("127.0.0.1:").nth(1).unwrap().trim();
            let url = format!("wss://localhost:{port}/");
            let client = direct(authority.trusted());
            let connecting = tokio::spawn(async move { client.connect(url).await });
            let request = server.hears("\r\n\r\n").await;
            let key = request.split("\r\n").find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.to_owned())
            });
            let accept = if is_right { accept(&key.unwrap()) } else { accept("another") };
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: \
                 Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            server.says([answer.as_bytes(), b"\x81\x05hello"].concat()).await;
            let connected = soon("a connection", connecting).await.unwrap();
            if !is_right {
                assert_eq!(connected.unwrap_err().kind(), ErrorKind::Handshake);
                continue;
            }
            let mut connection = connected.unwrap();
            assert_eq!(connection.tls().unwrap().version, name);
            let message = soon("a message", connection.recv()).await.unwrap();
            assert_eq!(message, Some("hello".into()));
            // The server then sends neither a close_notify nor a close frame.
            server.dies().await;
            let error = soon("the end", connection.recv()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
        }
    }
}
