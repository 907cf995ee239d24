//! Our server behind nginx, a reverse proxy.

use std::fs;
use std::time::Duration;

use towline::{ClientAuth, Config, ErrorKind, Keepalive, Tls};
use towline_kit::nginx::{Nginx, Options};

use crate::bounded::soon;
use crate::certificates::{Authority, Signed, shown};
use crate::conversation::{closes_well, connect, converse, direct, echo, is_closed_well, refused};
use crate::echo::{Echo, roomy};
use crate::program::nobody;

/// Returns options with this certificate.
fn options(certificate: &Signed) -> Options<'_> {
    Options::new(&certificate.chain, &certificate.key)
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn it_stands_before_a_plain_server_with_and_without_tls() {
    stands_before(Echo::plain().await).await;
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn it_stands_before_an_axum_app_with_and_without_tls() {
    stands_before(Echo::under_axum().await).await;
}

async fn stands_before(mut server: Echo) {
    let authority = Authority::new();
    let certificate = authority.server("nginx");
    let nginx = Nginx::before(&server.url("http"), &options(&certificate));
    let client = direct(authority.trusted()).header("x-forwarded-for", "203.0.113.9");
    for url in nginx.urls() {
        let mut connection = connect(&client, &url).await;
        let scheme = if connection.is_secure() { "https" } else { "http" };
        if let Some(tls) = connection.tls() {
            assert_eq!((tls.version, tls.alpn.as_deref()), ("TLS 1.3", Some(&b"http/1.1"[..])));
        }
        let seen = server.request().await;
        assert_eq!(seen.headers["x-forwarded-for"], "203.0.113.9, 127.0.0.1");
        assert_eq!(seen.remote_address, Some([203, 0, 113, 9].into()));
        assert_eq!(
            (&seen.headers["x-forwarded-proto"], seen.tls),
            (&scheme.parse().unwrap(), None)
        );
        converse(&mut connection).await;
        closes_well(connection).await;
        let closed = server.end().await;
        assert!(closed.is_clean(), "{closed:?}");
        assert_eq!((closed.code().get(), closed.reason()), (4002, "done ✓"));

        is_closed_well(connect(&client, &url).await).await;
        assert!(server.end().await.is_clean());
        server.request().await;
    }
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn it_speaks_tls_to_a_server_and_shows_it_a_certificate() {
    let authority = Authority::new();
    let [theirs, ours] = ["nginx", "server"].map(|name| authority.server(name));
    let root = fs::read(authority.root()).unwrap();
    let tls = ours.server().client_roots_pem(&root, ClientAuth::Required).unwrap();
    let mut server = Echo::secure(tls).await;
    let mut options = options(&theirs);
    options.location = format!(
        "proxy_ssl_certificate {};
        proxy_ssl_certificate_key {};
        proxy_ssl_trusted_certificate {};
        proxy_ssl_verify on;
        proxy_ssl_name localhost;",
        shown(&theirs.chain),
        shown(&theirs.key),
        shown(&authority.root())
    );
    let nginx = Nginx::before(&server.url("https"), &options);
    let client = direct(authority.trusted());
    for (url, resumes) in nginx.urls().iter().zip([false, true]) {
        let mut connection = connect(&client, url).await;
        let tls = server.request().await.tls.unwrap();
        assert_eq!((tls.peer_certificates.len(), tls.is_resumed), (1, resumes));
        converse(&mut connection).await;
        closes_well(connection).await;
        let closed = server.end().await;
        assert!(closed.is_clean(), "{closed:?}");
    }
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn connections_go_on_while_it_reads_its_files_again() {
    let authority = Authority::new();
    let [old, new] = ["old", "new"].map(|name| authority.server(name));
    let server = Echo::plain().await;
    let nginx = Nginx::before(&server.url("http"), &options(&old));
    let client = direct(authority.trusted());
    let mut connections = Vec::new();
    for url in nginx.urls().iter().cycle().take(8) {
        connections.push(connect(&client, url).await);
    }
    new.replaces(&old);
    nginx.reload();
    for connection in &mut connections {
        converse(connection).await;
    }
    // An old worker may have accepted one more connection.
    let certificate = |connection: &towline::Connection| {
        connection.tls().map(|tls| tls.peer_certificates[0].clone())
    };
    let mut later = connect(&client, &nginx.urls()[1]).await;
    assert_ne!(certificate(&later), certificate(&connections[1]));
    converse(&mut later).await;
    connections.push(later);
    for connection in connections {
        closes_well(connection).await;
    }
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn a_keepalive_holds_a_connection_that_it_would_give_up() {
    let authority = Authority::new();
    let certificate = authority.server("nginx");
    let mut server = Echo::plain().await;
    let mut options = options(&certificate);
    options.location = "proxy_read_timeout 1s;".into();
    let nginx = Nginx::before(&server.url("http"), &options);
    let config = |keepalive| roomy(Config::client()).keepalive(keepalive);
    let often = Keepalive::every(Duration::from_millis(250));
    let url = &nginx.urls()[1];
    let client = direct(authority.trusted());
    let mut held = connect(&client.clone().config(config(Some(often))), url).await;
    let mut given_up = connect(&client.config(config(None)), url).await;

    let twice_as_long = tokio::time::timeout(Duration::from_secs(2), held.recv());
    let (end, more) = tokio::join!(soon("the end", given_up.recv()), twice_as_long);
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionLost);
    assert!(!server.end().await.is_clean());
    assert!(more.is_err(), "{more:?} {}", nginx.log());
    converse(&mut held).await;
    closes_well(held).await;
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn what_it_says_in_the_servers_place_is_known() {
    let authority = Authority::new();
    let certificate = authority.server("nginx");
    let upstream = format!("http://{}", nobody());
    let nginx = Nginx::before(&upstream, &options(&certificate));
    let client = direct(authority.trusted());
    for url in nginx.urls() {
        let error = refused(&client, &url).await;
        assert_eq!(error.kind(), ErrorKind::HttpResponse);
        assert_eq!(error.response().unwrap().status(), 502);
    }
    // Each scheme on the other's port.
    let error = refused(&client, &format!("ws://{}/", nginx.secure)).await;
    assert_eq!(error.kind(), ErrorKind::IsTls);
    assert_eq!(error.response().unwrap().status(), 400);
    let error = refused(&client, &format!("wss://{}/", nginx.plain)).await;
    assert_eq!(error.kind(), ErrorKind::NotTls);
    // Without the root, the client does not trust it.
    let error = refused(&direct(Tls::new()), &nginx.urls()[1]).await;
    assert_eq!(error.kind(), ErrorKind::CertificateUntrusted);
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn its_redirect_to_tls_is_followed() {
    let authority = Authority::new();
    let certificate = authority.server("nginx");
    let mut server = Echo::plain().await;
    let mut options = options(&certificate);
    options.server =
        "if ($scheme = http) { return 301 https://localhost:SECURE_PORT$request_uri; }".into();
    let nginx = Nginx::before(&server.url("http"), &options);
    let url = format!("ws://{}/feed?room=7", nginx.plain);
    let error = refused(&direct(authority.trusted()), &url).await;
    assert_eq!(error.kind(), ErrorKind::HttpResponse);
    let client = direct(authority.trusted()).follow_redirects(1);
    let mut connection = connect(&client.header("authorization", "Bearer secret"), &url).await;
    let led_to = format!("wss://localhost:{}/feed?room=7", nginx.secure.port());
    assert_eq!(connection.url().unwrap().to_string(), led_to);
    assert!(!server.request().await.headers.contains_key("authorization"));
    converse(&mut connection).await;
    closes_well(connection).await;
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn it_asks_for_a_certificate_of_the_client() {
    let authority = Authority::new();
    let [theirs, ours] = ["nginx", "client"].map(|name| authority.server(name));
    let mut server = Echo::plain().await;
    let mut options = options(&theirs);
    options.server =
        format!("ssl_verify_client on; ssl_client_certificate {};", shown(&authority.root()));
    options.location = "proxy_set_header X-Client $ssl_client_s_dn;".into();
    let nginx = Nginx::before(&server.url("http"), &options);
    let url = &nginx.urls()[1];
    // nginx requests a certificate, completes the handshake without one, and then answers with 400.
    let error = refused(&direct(authority.trusted()), url).await;
    assert_eq!(error.kind(), ErrorKind::HttpResponse);
    assert_eq!(error.response().unwrap().status(), 400);
    let mut connection = connect(&direct(ours.shown_by(authority.trusted())), url).await;
    assert_eq!(server.request().await.headers["x-client"], "CN=client");
    echo(&mut connection, "who I am").await;
    closes_well(connection).await;
}
