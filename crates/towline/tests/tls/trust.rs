//! Whom a client trusts: each way for a certificate to be none is told from the others, on one line,
//! and by its kind.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use towline::{Blame, Client, Error, ErrorKind, Server, Tls, TlsServer};

use crate::certificates::{Authority, Signed, server_params};
use crate::peer::{VERSIONS, server_config};

/// A server with this certificate, and a client that asks for this name: what becomes of both.
async fn meet(
    signed: &Signed,
    client: &Tls,
    name: &str,
    version: usize,
) -> (Result<(), Error>, Result<(), Error>) {
    let config = server_config(signed, VERSIONS[version]);
    let server = TlsServer::from_rustls_0_23(Arc::new(config));
    let (near, far) = tokio::io::duplex(64 << 10);
    let (server, client) = tokio::join!(server.accept(near), client.connect(far, name));
    (server.map(drop), client.map(drop))
}

async fn is_refused(signed: &Signed, client: &Tls, name: &str, kind: ErrorKind, words: &str) {
    for version in 0..2 {
        let (at_server, at_client) = meet(signed, client, name, version).await;
        let error = at_client.expect_err(words);
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        assert_eq!(error.blame(), Blame::Remote);
        assert!(text.contains(words) && text.contains(name), "{text}, not {words}");
        assert!(!text.contains('\n'), "{text}");
        let error = at_server.expect_err(words);
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

async fn is_accepted(signed: &Signed, client: &Tls, name: &str) {
    for version in 0..2 {
        let (at_server, at_client) = meet(signed, client, name, version).await;
        at_client.unwrap();
        at_server.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_that_is_out_of_its_time() {
    let authority = Authority::new("root");
    let at = |from, until| {
        let mut params = server_params(&["localhost"]);
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        authority.sign(params)
    };
    let client = authority.trusted();
    let kind = ErrorKind::CertificateExpired;
    is_refused(&at(2010, 2020), &client, "localhost", kind, " days ago").await;
    is_refused(&at(2800, 2900), &client, "localhost", kind, "not valid yet, but in").await;
    is_accepted(&at(2010, 2900), &client, "localhost").await;
}

#[tokio::test]
async fn a_certificate_of_another_host() {
    let authority = Authority::new("root");
    let client = authority.trusted();
    let names = authority.server(&[
        "example.com",
        "*.example.com",
        "127.0.0.1",
        "2001:db8::1",
        "xn--bcher-kva.example",
    ]);
    for name in [
        "example.com",
        "EXAMPLE.com",
        "example.com.",
        "a.example.com",
        "127.0.0.1",
        "2001:db8::1",
        "[2001:db8::1]",
        "xn--bcher-kva.example",
    ] {
        is_accepted(&names, &client, name).await;
    }
    for name in
        ["localhost", "a.b.example.com", "xample.com", "127.0.0.2", "[::1]", "[2001:db8::2]"]
    {
        is_refused(&names, &client, name, ErrorKind::CertificateName, "another name: example.com")
            .await;
    }
    for name in ["", "a b", "[", "*.example.com", "example.com:443", "[::1"] {
        let (_near, far) = tokio::io::duplex(64);
        let error = client.connect(far, name).await.unwrap_err();
        assert_eq!((error.kind(), error.blame()), (ErrorKind::InvalidTls, Blame::Local), "{error}");
        assert!(client.clone().server_name(name).is_err());
    }
}

/// The name that is asked for can be another one, and is the one that counts.
#[tokio::test]
async fn another_server_name() {
    let authority = Authority::new("root");
    let signed = authority.server(&["example.com"]);
    let client = authority.trusted().server_name("example.com").unwrap();
    for host in ["localhost", "127.0.0.1", "example.com"] {
        is_accepted(&signed, &client, host).await;
    }
    let client = authority.trusted().server_name("example.org").unwrap();
    is_refused(&signed, &client, "example.com", ErrorKind::CertificateName, "another name").await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for() {
    let (authority, other) =
        (Authority::new("one of this test"), Authority::new("another of this test"));
    let kind = ErrorKind::CertificateUntrusted;
    let signed = other.server(&["localhost"]);
    is_refused(&signed, &authority.trusted(), "localhost", kind, "unknown root").await;
    // A root of the same name is another one.
    let impostor = Authority::new("one of this test").server(&["localhost"]);
    is_refused(&impostor, &authority.trusted(), "localhost", kind, "root of that name").await;
    let signed = Signed::by_itself(&["localhost"]);
    is_refused(&signed, &authority.trusted(), "localhost", kind, "self-signed").await;
    // As a root of its own it is trusted.
    let client = Tls::new().only_added_roots().add_roots_pem(signed.chain.as_bytes()).unwrap();
    is_accepted(&signed, &client, "localhost").await;
    // What the system trusts is trusted as well, unless it is not.
    let client = Tls::new().add_roots_pem(authority.pem.as_bytes()).unwrap();
    is_accepted(&authority.server(&["localhost"]), &client, "localhost").await;
    is_refused(&other.server(&["localhost"]), &client, "localhost", kind, "unknown root").await;
    is_refused(&signed, &Tls::new(), "localhost", kind, "self-signed").await;
}

/// As `openssl req -x509` makes them: one that may sign others may not stand for a server.
#[tokio::test]
async fn a_certificate_of_an_authority_in_place_of_a_server() {
    let mut params = server_params(&["localhost"]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let signed = Signed { chain: pem, key: key.serialize_pem() };
    let client = Authority::new("root").trusted();
    let kind = ErrorKind::CertificateUntrusted;
    is_refused(&signed, &client, "localhost", kind, "self-signed").await;
    let client = Tls::new().only_added_roots().add_roots_pem(signed.chain.as_bytes()).unwrap();
    let kind = ErrorKind::CertificateInvalid;
    is_refused(&signed, &client, "localhost", kind, "authority").await;
    let authority = Authority::new("root");
    let mut params = server_params(&["localhost"]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signed = authority.sign(params);
    let kind = ErrorKind::CertificateInvalid;
    is_refused(&signed, &authority.trusted(), "localhost", kind, "authority").await;
}

#[tokio::test]
async fn a_certificate_for_something_else() {
    let authority = Authority::new("root");
    let signed = authority.client("localhost");
    let kind = ErrorKind::CertificateInvalid;
    is_refused(&signed, &authority.trusted(), "localhost", kind, "not valid").await;
    // A common name is no name, since long ago.
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "localhost");
    let signed = authority.sign(params);
    let kind = ErrorKind::CertificateName;
    is_refused(&signed, &authority.trusted(), "localhost", kind, "no name").await;
}

#[tokio::test]
async fn any_certificate_where_the_program_says_so() {
    let client = Tls::new().dangerously_accept_any_certificate();
    let mut params = server_params(&["example.com"]);
    params.not_after = date_time_ymd(2020, 1, 1);
    params.subject_alt_names = vec![SanType::DnsName("x".try_into().unwrap())];
    is_accepted(&Authority::new("root").sign(params), &client, "localhost").await;
    is_accepted(&Signed::by_itself(&["x"]), &client, "localhost").await;
}

/// What can't be used is told where it is given, or by the first to use it.
#[tokio::test]
async fn what_is_no_certificate() {
    let authority = Authority::new("root");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let torn = "-----BEGIN CERTIFICATE-----\nAA";
    for pem in ["", "nothing of the kind", broken, torn, &authority.as_server().key] {
        let error = Tls::new().add_roots_pem(pem.as_bytes()).map(drop).unwrap_err();
        assert_eq!((error.kind(), error.blame()), (ErrorKind::InvalidTls, Blame::Local), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    let signed = authority.server(&["localhost"]);
    let other = authority.server(&["localhost"]);
    for (chain, key) in [
        ("", ""),
        (&*signed.chain, ""),
        ("", &*signed.key),
        (broken, &signed.key),
        (&signed.key, &signed.chain),
        (&signed.chain, &signed.chain),
        (&signed.chain, &other.key),
        (&signed.chain, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
    ] {
        let error = TlsServer::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!((error.kind(), error.blame()), (ErrorKind::InvalidTls, Blame::Local), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
        let url = "wss://127.0.0.1:1/";
        let identity = Tls::new().identity_pem(chain.as_bytes(), key.as_bytes());
        let error = match identity {
            Ok(tls) => Client::new().tls(tls).connect(url).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::InvalidTls, "{error}");
    }
    // Both in one text will do.
    let both = format!("{}{}", signed.key, signed.chain);
    TlsServer::from_pem(both.as_bytes(), both.as_bytes()).unwrap();
    let client = Client::new().tls(Tls::new().only_added_roots());
    let error = client.connect("wss://127.0.0.1:1/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidTls);
    assert!(error.to_string().contains("only_added_roots"), "{error}");
}

/// By URL, with an address in it of either family.
#[tokio::test]
async fn a_server_is_known_by_its_address() {
    let authority = Authority::new("root");
    let tls = authority.server(&["127.0.0.1", "::1"]).server();
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(server) = Server::builder().tls(tls.clone()).auto_accept(true).bind(address).await
        else {
            // There may be no IPv6 here.
            continue;
        };
        let url = format!("wss://{}/", server.local_addr().unwrap());
        let connection = Client::new().tls(authority.trusted()).connect(&url).await.unwrap();
        assert!(connection.is_secure());
        // As a root of the system's, nobody knows it.
        let error = Client::new().connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CertificateUntrusted, "{error}");
        let by_name = url.replace("127.0.0.1", "localhost");
        if by_name == url {
            // Not everywhere is that a name of this one.
            continue;
        }
        let error = Client::new().tls(authority.trusted()).connect(by_name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CertificateName, "{error}");
    }
}
