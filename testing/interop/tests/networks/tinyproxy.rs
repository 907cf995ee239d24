//! Our client behind tinyproxy, an HTTP proxy with CONNECT.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use towline::{ErrorKind, Proxy, TlsServer};
use towline_kit::programs::Program;

use crate::certificates::shown;
use crate::conversation::refused;
use crate::program::nobody;
use crate::proxied::{PASSWORD, Servers, USER, USER_INFO, keeps_the_secret};

/// Starts one that requires the user and the password, with these additional lines of configuration.
pub(crate) fn tinyproxy(more: &str) -> (Program, SocketAddr) {
    let (program, [address]) = Program::listening(|directory, [address]| {
        let file = directory.join("tinyproxy.conf");
        let configuration = format!(
            "Listen 127.0.0.1\nPort {}\nTimeout 60\nLogLevel Connect\nBasicAuth {USER} \
             {PASSWORD}\n{more}\n",
            address.port()
        );
        fs::write(&file, configuration).unwrap();
        ["tinyproxy", "-d", "-c", &shown(&file)].map(str::to_owned).into()
    });
    (program, address)
}

/// Terminates TLS in front of the proxy, which does not support it.
async fn behind_tls(tls: TlsServer, proxy: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = tls.accept(stream).await else { return };
                let mut to_proxy = TcpStream::connect(proxy).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut to_proxy).await;
            });
        }
    });
    address
}

#[tokio::test]
#[ignore = "needs tinyproxy"]
async fn servers_are_reached_with_the_right_password() {
    let mut servers = Servers::start().await;
    let (program, address) = tinyproxy("");
    let in_url = Proxy::new(format!("http://{USER_INFO}@{address}")).unwrap();
    servers.are_reached_through(in_url).await;
    let beside = Proxy::new(format!("http://{address}")).unwrap().credentials(USER, PASSWORD);
    servers.are_reached_through(beside).await;
    for url in [&servers.plain, &servers.secure] {
        program.wait_for(&format!("CONNECT localhost:{} HTTP/1.1", url.address.port()));
    }
}

#[tokio::test]
#[ignore = "needs tinyproxy"]
async fn servers_are_reached_over_tls_to_the_proxy() {
    let mut servers = Servers::start().await;
    let (_program, address) = tinyproxy("");
    let tls = servers.authority().server("proxy").server();
    let address = behind_tls(tls, address).await;
    let proxy = Proxy::new(format!("https://{USER_INFO}@localhost:{}", address.port())).unwrap();
    servers.are_reached_through(proxy).await;

    // Without TLS, the error says that the proxy speaks TLS.
    let proxy = Proxy::new(format!("http://{USER_INFO}@{address}")).unwrap();
    let error = refused(&servers.client(proxy), &servers.urls()[0]).await;
    assert_eq!(error.response().map(|response| response.status().as_u16()), Some(400));
    assert_eq!(error.kind(), ErrorKind::ProxyRefused);
}

#[tokio::test]
#[ignore = "needs tinyproxy"]
async fn a_wrong_password_or_none_is_refused() {
    let servers = Servers::start().await;
    let (_program, address) = tinyproxy("");
    let proxy = Proxy::new(format!("http://{address}")).unwrap();
    // tinyproxy answers 401 to a wrong password, where others answer 407.
    for (proxy, status) in [(proxy.clone().credentials(USER, "wrong"), 401), (proxy, 407)] {
        for url in servers.urls() {
            let error = refused(&servers.client(proxy.clone()), &url).await;
            assert_eq!(error.kind(), ErrorKind::ProxyRefused);
            assert_eq!(error.response().unwrap().status(), status);
            assert!(!error.to_string().contains("wrong"));
        }
    }
}

#[tokio::test]
#[ignore = "needs tinyproxy"]
async fn it_says_that_it_could_not_or_may_not_connect() {
    let servers = Servers::start().await;
    let (_program, address) = tinyproxy("");
    let proxy = Proxy::new(format!("http://{USER_INFO}@{address}")).unwrap();
    for url in [format!("wss://{}/", nobody()), "ws://nowhere.invalid/".into()] {
        let error = refused(&servers.client(proxy.clone()), &url).await;
        assert_eq!(error.kind(), ErrorKind::ProxyRefused);
        assert_eq!(error.response().unwrap().status(), 500);
        keeps_the_secret(&format!("{error} {error:?} {:?}", error.response()));
    }
    let (_program, address) = tinyproxy("ConnectPort 443");
    let proxy = Proxy::new(format!("http://{USER_INFO}@{address}")).unwrap();
    let error = refused(&servers.client(proxy), &servers.urls()[1]).await;
    assert_eq!(error.kind(), ErrorKind::ProxyRefused);
    assert_eq!(error.response().unwrap().status(), 403);
}

#[tokio::test]
#[ignore = "needs tinyproxy"]
async fn it_is_told_from_another_kind_of_proxy_and_from_none() {
    let servers = Servers::start().await;
    let (_program, address) = tinyproxy("");
    let none = nobody();
    let (failed, late) = (ErrorKind::ProxyFailed, ErrorKind::HandshakeTimeout);
    for (url, kinds) in [
        // tinyproxy waits for the end of a line here. What TLS begins with may happen to have one.
        (format!("socks5://{USER_INFO}@{address}"), [late, late]),
        (format!("https://{USER_INFO}@{address}"), [late, failed]),
        (format!("http://{USER_INFO}@{none}"), [failed, failed]),
        (format!("socks5h://{USER_INFO}@{none}"), [failed, failed]),
        // The server answers the plain request with 400.
        (format!("http://{USER_INFO}@{}", servers.secure.address), [ErrorKind::ProxyRefused; 2]),
    ] {
        let client = servers.client(Proxy::new(url).unwrap());
        let client = client.connect_timeout(Duration::from_secs(2));
        let error = refused(&client, &servers.urls()[1]).await;
        assert!(kinds.contains(&error.kind()), "{error}");
        assert!(error.to_string().contains("proxy"), "{error}");
        keeps_the_secret(&format!("{error} {error:?}"));
    }
}
