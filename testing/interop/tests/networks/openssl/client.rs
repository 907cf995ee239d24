//! `openssl s_client` with our server.

use std::fs;

use towline::{ClientAuth, CloseCause};

use super::dialogue::Dialogue;
use crate::certificates::{Authority, shown};
use crate::echo::Echo;

const UPGRADE: &str = "GET /by-hand HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
const ACCEPTED: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Frames with a masking key of zeros, which leaves the payload as it is.
const HELLO: &[u8] = b"\x81\x85\0\0\0\0hello";
const CLOSE: &[u8] = b"\x88\x82\0\0\0\0\x03\xe8";

const VERSIONS: [(&str, &str); 2] = [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")];

/// Connects to our server, whose certificate must be for localhost and signed by this root.
fn s_client(server: &Echo, authority: &Authority, more: &[&str]) -> Dialogue {
    let (address, root) = (server.address.to_string(), shown(&authority.root()));
    let always =
        ["s_client", "-nocommands", "-verify_return_error", "-verify_hostname", "localhost"];
    let here = ["-servername", "localhost", "-connect", &address, "-CAfile", &root];
    Dialogue::with_openssl(always.into_iter().chain(here).chain(more.iter().copied()))
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn it_shakes_hands_in_each_version_and_speaks_websocket_by_hand() {
    let authority = Authority::new();
    let mut server = Echo::secure(authority.server("server").server()).await;
    for (option, version) in VERSIONS {
        let mut client = s_client(&server, &authority, &[option, "-alpn", "h2,http/1.1"]);
        client.says(UPGRADE).await;
        client.hears(ACCEPTED).await;
        client.says(HELLO).await;
        client.hears(b"\x81\x05hello").await;
        client.says(CLOSE).await;
        client.hears(b"\x88\x02\x03\xe8").await;
        // It prints this when it receives a close_notify.
        let said = client.hears("closed\n").await;
        for expected in [
            "Verify return code: 0 (ok)",
            "ALPN protocol: http/1.1",
            &format!("New, {version}, Cipher is "),
            "subject=CN = server",
        ] {
            assert!(said.contains(expected), "{expected}:\n{said}");
        }
        let seen = server.request().await.tls.unwrap();
        assert_eq!(seen.version.replace(' ', "v"), version);
        assert_eq!(seen.alpn.as_deref(), Some(&b"http/1.1"[..]));
        assert!(server.end().await.is_clean());
        assert!(client.ends().await.0.success());
    }
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn its_sessions_are_resumed_before_and_after_a_reload() {
    for (option, version) in VERSIONS {
        let authority = Authority::new();
        let files = authority.server("old");
        let tls = files.server();
        let mut server = Echo::secure(tls.clone()).await;
        let session = files.chain.with_extension("session");
        let session = session.to_str().unwrap();
        let mut said = Vec::new();
        for round in 0..3 {
            if round == 2 {
                authority.server("new").replaces(&files);
                tls.reload().unwrap();
            }
            let way: &[_] = if round == 0 { &["-sess_out"] } else { &["-sess_in"] };
            let mut client =
                s_client(&server, &authority, &[&[option], way, &[session][..]].concat());
            client.says(UPGRADE).await;
            client.hears(ACCEPTED).await;
            assert_eq!(server.request().await.tls.unwrap().is_resumed, round > 0);
            said.push(client.ends().await.1);
        }
        for (round, said) in said.iter().enumerate() {
            let word = if round == 0 { "New" } else { "Reused" };
            assert!(said.contains(&format!("{word}, {version}, Cipher is ")), "{round}:\n{said}");
        }
        // A new client gets the new certificate.
        let mut client = s_client(&server, &authority, &[option]);
        client.says(UPGRADE).await;
        let said = client.hears(ACCEPTED).await;
        assert!(said.contains("subject=CN = new") && !said.contains("CN = old"), "{said}");
    }
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn it_is_told_what_it_has_in_common_with_the_server_if_that_is_nothing() {
    let authority = Authority::new();
    let server = Echo::secure(authority.server("server").server()).await;
    for (options, says) in [
        (&["-alpn", "h2"][..], "alert no application protocol"),
        (&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], "alert handshake failure"),
    ] {
        let (status, said) = s_client(&server, &authority, options).ends().await;
        assert!(!status.success() && said.contains(says), "{said}");
    }
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn it_has_to_show_a_certificate_where_one_is_required() {
    let authority = Authority::new();
    let root = fs::read(authority.root()).unwrap();
    let tls = authority.server("server").server();
    let tls = tls.client_roots_pem(&root, ClientAuth::Required).unwrap();
    let mut server = Echo::secure(tls).await;
    let good = authority.server("client");
    let expired = authority.sign("expired", "DNS:client", -1);
    let stranger = authority.by_itself("stranger");
    for (option, _) in VERSIONS {
        for (signed, says) in
            [(None, "alert"), (Some(&expired), "expired"), (Some(&stranger), "alert")]
        {
            let files = signed.map(|signed| [shown(&signed.chain), shown(&signed.key)]);
            let options = match &files {
                Some([chain, key]) => vec![option, "-cert", chain, "-key", key],
                None => vec![option],
            };
            let mut client = s_client(&server, &authority, &options);
            // In TLS 1.3 the client finishes before the server has checked its certificate.
            client.hears(says).await;
            let (_, said) = client.ends().await;
            assert!(!said.contains("HTTP/1.1 101"), "{said}");
        }
        let files = [shown(&good.chain), shown(&good.key)];
        let options = [option, "-cert", &files[0], "-key", &files[1]];
        let mut client = s_client(&server, &authority, &options);
        client.says(UPGRADE).await;
        client.hears(ACCEPTED).await;
        // The client sends the root too.
        assert_eq!(server.request().await.tls.unwrap().peer_certificates.len(), 2);
    }
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn a_stream_that_it_truncates_is_no_clean_close() {
    let authority = Authority::new();
    let mut server = Echo::secure(authority.server("server").server()).await;
    let mut client = s_client(&server, &authority, &[]);
    client.says(UPGRADE).await;
    client.hears(ACCEPTED).await;
    client.dies().await;
    let closed = server.end().await;
    println!("{closed}");
    assert!(!closed.is_clean());
    assert!(
        matches!(closed.cause(), CloseCause::TransportEnded | CloseCause::TransportFailed(_)),
        "{closed:?}"
    );
}
