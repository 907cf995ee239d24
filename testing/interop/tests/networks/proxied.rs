//! What every kind of proxy lets through.

use towline::{Client, Proxy, Tls};

use crate::certificates::Authority;
use crate::conversation::{closes_well, connect, converse, direct, is_closed_well};
use crate::echo::Echo;

/// The user and the password of the proxies here, and both as in a URL, where a dot may be written so.
pub(crate) const USER: &str = "deckhand";
pub(crate) const PASSWORD: &str = "s3cr.et";
pub(crate) const USER_INFO: &str = "deckhand:s3cr%2Eet";

/// A server in plain and one with TLS, both called localhost.
pub(crate) struct Servers {
    pub(crate) plain: Echo,
    pub(crate) secure: Echo,
    authority: Authority,
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let authority = Authority::new();
        let tls = authority.server("server").server();
        Self { plain: Echo::plain().await, secure: Echo::secure(tls).await, authority }
    }

    /// Who trusts the one with TLS.
    pub(crate) fn trusted(&self) -> Tls {
        self.authority.trusted()
    }

    /// The authority of both.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A client that goes through this proxy.
    pub(crate) fn client(&self, proxy: Proxy) -> Client {
        direct(self.trusted()).proxy(proxy)
    }

    pub(crate) fn urls(&self) -> [String; 2] {
        [
            format!("ws://localhost:{}/", self.plain.address.port()),
            format!("wss://localhost:{}/", self.secure.address.port()),
        ]
    }

    /// Both can be conversed with through this proxy, and see nothing of what is the proxy's.
    pub(crate) async fn are_reached_through(&mut self, proxy: Proxy) {
        let client = self.client(proxy);
        for (url, server) in self.urls().iter().zip([&mut self.plain, &mut self.secure]) {
            let mut connection = connect(&client, url).await;
            let seen = server.request().await;
            assert!(!seen.headers.contains_key("proxy-authorization"));
            assert_eq!(seen.headers["host"], format!("localhost:{}", server.address.port()));
            converse(&mut connection).await;
            closes_well(connection).await;
            let closed = server.end().await;
            assert!(closed.is_clean(), "{closed:?}");

            is_closed_well(connect(&client, url).await).await;
            server.request().await;
            let closed = server.end().await;
            assert!(closed.is_clean(), "{closed:?}");
        }
    }
}

/// That no password is in it, in any way of writing it.
pub(crate) fn keeps_the_secret(text: &str) {
    for secret in [PASSWORD, "s3cr%2Eet", "ZGVja2hhbmQ6czNjci5ldA"] {
        assert!(!text.contains(secret), "{text}");
    }
}
