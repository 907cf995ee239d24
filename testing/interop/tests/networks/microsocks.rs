//! Our client behind microsocks, a SOCKS proxy.

use std::net::SocketAddr;

use towline::{ErrorKind, Proxy};
use towline_kit::programs::Program;

use crate::conversation::refused;
use crate::program::nobody;
use crate::proxied::{PASSWORD, Servers, USER, USER_INFO, keeps_the_secret};

/// Starts one that requires the user and the password.
pub(crate) fn microsocks() -> (Program, SocketAddr) {
    let (program, [address]) = Program::listening(|_, [address]: [SocketAddr; 1]| {
        let port = address.port().to_string();
        ["microsocks", "-i", "127.0.0.1", "-p", &port, "-u", USER, "-P", PASSWORD]
            .map(str::to_owned)
            .into()
    });
    (program, address)
}

#[tokio::test]
#[ignore = "needs microsocks"]
async fn servers_are_reached_by_address_and_by_name() {
    let mut servers = Servers::start().await;
    let (program, address) = microsocks();
    let port = servers.plain.address.port();
    for (scheme, asked_for) in [("socks5", "127.0.0.1"), ("socks5h", "localhost")] {
        let asked_for = format!("connected to {asked_for}:{port}");
        assert!(!program.log().contains(&asked_for));
        let proxy = Proxy::new(format!("{scheme}://{USER_INFO}@{address}")).unwrap();
        servers.are_reached_through(proxy).await;
        program.wait_for(&asked_for);
    }
    let proxy = Proxy::new(format!("socks5h://{address}")).unwrap().credentials(USER, PASSWORD);
    servers.are_reached_through(proxy).await;
}

#[tokio::test]
#[ignore = "needs microsocks"]
async fn a_wrong_password_or_none_is_refused() {
    let servers = Servers::start().await;
    let (_program, address) = microsocks();
    for scheme in ["socks5", "socks5h"] {
        let proxy = Proxy::new(format!("{scheme}://{address}")).unwrap();
        for proxy in [proxy.clone().credentials(USER, "wrong"), proxy] {
            for url in servers.urls() {
                let error = refused(&servers.client(proxy.clone()), &url).await;
                assert_eq!(error.kind(), ErrorKind::ProxyRefused);
                assert!(!error.to_string().contains("wrong"));
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs microsocks"]
async fn it_says_that_it_could_not_connect() {
    let servers = Servers::start().await;
    let (_program, address) = microsocks();
    let nobody = nobody();
    for scheme in ["socks5", "socks5h"] {
        let proxy = Proxy::new(format!("{scheme}://{USER_INFO}@{address}")).unwrap();
        let client = servers.client(proxy);
        let error = refused(&client, &format!("ws://localhost:{}/", nobody.port())).await;
        assert_eq!(error.kind(), ErrorKind::ProxyRefused);
        let error = refused(&client, "wss://nowhere.invalid/").await;
        // The end that looks up the name reports that it does not exist.
        let kind = if scheme == "socks5" { ErrorKind::Connect } else { ErrorKind::ProxyRefused };
        assert_eq!(error.kind(), kind);
        keeps_the_secret(&format!("{error} {error:?}"));
    }
}

#[tokio::test]
#[ignore = "needs microsocks"]
async fn it_is_told_from_an_http_proxy() {
    let servers = Servers::start().await;
    let (_program, address) = microsocks();
    for scheme in ["http", "https"] {
        let proxy = Proxy::new(format!("{scheme}://{USER_INFO}@{address}")).unwrap();
        let error = refused(&servers.client(proxy), &servers.urls()[1]).await;
        assert_eq!(error.kind(), ErrorKind::ProxyFailed);
        keeps_the_secret(&format!("{error} {error:?}"));
    }
}
