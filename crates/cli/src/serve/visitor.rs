//! Who asks for the list of connections: a browser on this machine, or anybody, with the console's token.

use std::sync::Arc;

use http::header::{FORWARDED, HeaderName, VIA};
use http::{HeaderMap, Request};
use towline_hyper::PeerAddr;

use crate::serve::handling::Access;
use crate::serve::hosts::{Hosts, asked, is_this_machine};
use crate::serve::token::Token;

/// Headers that proxies add. Behind one, the other end of the transport is not the client.
const FORWARDING: [HeaderName; 6] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// The header of the console's own requests, with the token. A page of another origin can't send it
/// without asking first, and is not allowed to.
const OWN: HeaderName = HeaderName::from_static("x-towline-console");

/// Who may see connections, topics and rooms. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Visitors {
    pub(crate) access: Access,
    pub(crate) token: Arc<Token>,
    pub(crate) hosts: Arc<Hosts>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The list is for nobody.
    Off,
    /// The client is elsewhere, or behind a proxy.
    Elsewhere,
    /// The host can be that of another site.
    UnknownHost,
    /// The token is missing, or another one.
    NoToken,
    /// The request can be that of another page.
    Foreign,
}

impl Visitors {
    /// Whether the client may see connections, topics and rooms.
    pub(crate) fn admit<B>(&self, request: &Request<B>) -> Result<(), Refused> {
        match self.access {
            Access::Off => Err(Refused::Off),
            Access::Any if !self.is_known_host(request) => Err(Refused::UnknownHost),
            Access::Local if !is_local(request) => Err(Refused::Elsewhere),
            Access::Any | Access::Local => self.check_token(request.headers()),
        }
    }

    /// Whether the client may close connections.
    pub(crate) fn admit_to_close<B>(&self, request: &Request<B>) -> Result<(), Refused> {
        if self.access == Access::Off {
            return Err(Refused::Off);
        }
        if !is_local(request) {
            return Err(Refused::Elsewhere);
        }
        self.check_token(request.headers())?;
        match request.headers().contains_key(OWN) {
            true => Ok(()),
            false => Err(Refused::Foreign),
        }
    }

    /// Whether the host of the request can't be that of another site.
    pub(crate) fn is_known_host<B>(&self, request: &Request<B>) -> bool {
        asked(request).is_some_and(|host| self.hosts.knows(host))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Refused> {
        match self.token.admits(headers.get(OWN).map(|token| token.as_bytes())) {
            true => Ok(()),
            false => Err(Refused::NoToken),
        }
    }
}

/// Whether a request comes from this machine, without a proxy, and is for it by name. A page whose name
/// was made to lead here (DNS rebinding) asks for its own name.
fn is_local<B>(request: &Request<B>) -> bool {
    let peer = request.extensions().get::<PeerAddr>();
    let headers = request.headers();
    peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback())
        && !FORWARDING.iter().any(|name| headers.contains_key(name))
        && asked(request).is_some_and(is_this_machine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::HOST;

    const TOKEN: &str = "0123456789abcdef";

    fn request(peer: &str, host: &str) -> Request<()> {
        let mut request = Request::get("/").header(HOST, host).body(()).unwrap();
        request.extensions_mut().insert(PeerAddr(peer.parse().unwrap()));
        request
    }

    fn with_token(mut request: Request<()>, token: &str) -> Request<()> {
        request.headers_mut().insert(OWN, token.parse().unwrap());
        request
    }

    fn visitors(access: Access, token: &str) -> Visitors {
        let token = Arc::new(Token::read(token, "").unwrap());
        Visitors { access, token, hosts: Arc::new(Hosts::new(&[], &[], &[])) }
    }

    #[test]
    fn a_browser_on_this_machine_is_local() {
        for (peer, host) in [
            ("127.0.0.1:5000", "127.0.0.1:9001"),
            ("127.0.0.1:5000", "localhost"),
            ("127.0.0.1:5000", "chat.localhost:9001"),
            ("[::1]:5000", "[::1]:9001"),
            ("[::1]:5000", "[::1]"),
            ("[::ffff:127.0.0.1]:5000", "LOCALHOST:9001"),
        ] {
            assert!(is_local(&request(peer, host)), "{peer} {host}");
        }
    }

    #[test]
    fn nobody_else_is_local() {
        for (peer, host) in [
            ("192.0.2.1:5000", "127.0.0.1:9001"),
            ("127.0.0.1:5000", "evil.example:9001"),
            ("127.0.0.1:5000", "127.0.0.1.evil.example"),
            ("127.0.0.1:5000", "evillocalhost"),
            ("127.0.0.1:5000", "localhost.evil.example"),
            ("127.0.0.1:5000", "192.0.2.1"),
            ("127.0.0.1:5000", ""),
        ] {
            assert!(!is_local(&request(peer, host)), "{peer} {host}");
        }
        for name in FORWARDING {
            let mut request = request("127.0.0.1:5000", "127.0.0.1:9001");
            request.headers_mut().insert(name.clone(), "192.0.2.1".parse().unwrap());
            assert!(!is_local(&request), "{name}");
        }
        let mut two = request("127.0.0.1:5000", "localhost");
        two.headers_mut().append(HOST, "evil.example".parse().unwrap());
        assert!(!is_local(&two));
        assert!(!is_local(&Request::get("/").header(HOST, "localhost").body(()).unwrap()));
    }

    #[test]
    fn the_token_is_needed_wherever_the_client_is() {
        let (local, far) = ("127.0.0.1:5000", "192.0.2.1:5000");
        let plain = |peer: &str| request(peer, "127.0.0.1");
        let here = visitors(Access::Local, TOKEN);
        assert_eq!(here.admit(&plain(local)), Err(Refused::NoToken));
        assert_eq!(
            here.admit(&with_token(plain(local), "0123456789abcdeF")),
            Err(Refused::NoToken)
        );
        assert_eq!(here.admit(&with_token(plain(local), TOKEN)), Ok(()));
        assert_eq!(here.admit(&with_token(plain(far), TOKEN)), Err(Refused::Elsewhere));

        let any = visitors(Access::Any, TOKEN);
        assert_eq!(any.admit(&plain(far)), Err(Refused::NoToken));
        assert_eq!(any.admit(&with_token(plain(far), TOKEN)), Ok(()));
        let rebound = with_token(request(local, "evil.example"), TOKEN);
        assert_eq!(any.admit(&rebound), Err(Refused::UnknownHost));
        assert_eq!(any.admit_to_close(&with_token(plain(far), TOKEN)), Err(Refused::Elsewhere));
        assert_eq!(any.admit_to_close(&with_token(plain(local), TOKEN)), Ok(()));
        assert_eq!(any.admit_to_close(&plain(local)), Err(Refused::NoToken));

        let open = visitors(Access::Any, "off");
        assert_eq!(open.admit(&plain(far)), Ok(()));
        // A page of another origin can have a browser send a plain POST.
        assert_eq!(open.admit_to_close(&plain(local)), Err(Refused::Foreign));
        assert_eq!(open.admit_to_close(&with_token(plain(local), "none")), Ok(()));

        let off = visitors(Access::Off, TOKEN);
        let own = with_token(plain(local), TOKEN);
        assert_eq!(
            (off.admit(&own), off.admit_to_close(&own)),
            (Err(Refused::Off), Err(Refused::Off))
        );
    }
}
