//! The conversation through every kind of proxy.

use towline::{Client, Proxy, Tls};

use crate::certificates::Authority;
use crate::conversation::{closes_well, connect, converse, direct, is_closed_well};
use crate::echo::Echo;

/// The user and the password of the proxies, and both as in a URL, with a percent-encoded dot.
pub(crate) const USER: &str = "deckhand";
pub(crate) const PASSWORD: &str = "s3cr.et";
pub(crate) const USER_INFO: &str = "deckhand:s3cr%2Eet";

/// A plain server and one with TLS, both named localhost.
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

    /// A client configuration that trusts the one with TLS.
    pub(crate) fn trusted(&self) -> Tls {
        self.authority.trusted()
    }

    /// The root of both.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Returns a client that uses this proxy.
    pub(crate) fn client(&self, proxy: Proxy) -> Client {
        direct(self.trusted()).proxy(proxy)
    }

    pub(crate) fn urls(&self) -> [String; 2] {
        [
            format!("ws://localhost:{}/", self.plain.address.port()),
            format!("wss://localhost:{}/", self.secure.address.port()),
        ]
    }

    /// Checks that a conversation with both works through this proxy, and that they see no credentials.
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

/// Checks that the text does not contain the password in any encoding.
pub(crate) fn keeps_the_secret(text: &str) {
    for secret in [PASSWORD, "s3cr%2Eet", "ZGVja2hhbmQ6czNjci5ldA"] {
        assert!(!text.contains(secret), "{text}");
    }
}
