//! Who asks for the list of connections: a browser on this machine, or anybody.

use http::header::{FORWARDED, HeaderName, VIA};
use http::{HeaderMap, Request};
use towline_hyper::PeerAddr;

use crate::serve::hosts::{asked, is_this_machine};

/// Headers that proxies add. Behind one, the other end of the transport is not the client.
const FORWARDING: [HeaderName; 6] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// The header of the console's own requests that change something. A page of another origin can't send
/// it without asking first, and is not allowed to.
const OWN: HeaderName = HeaderName::from_static("x-towline-console");

/// Whether a request comes from this machine, without a proxy, and is for it by name. A page whose name
/// was made to lead here (DNS rebinding) asks for its own name.
pub(crate) fn is_local<B>(request: &Request<B>) -> bool {
    let peer = request.extensions().get::<PeerAddr>();
    let headers = request.headers();
    peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback())
        && !FORWARDING.iter().any(|name| headers.contains_key(name))
        && asked(request).is_some_and(is_this_machine)
}

/// Whether a request comes from the console, and not from a page of another origin.
pub(crate) fn is_from_console(headers: &HeaderMap) -> bool {
    headers.contains_key(OWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::HOST;

    fn request(peer: &str, host: &str) -> Request<()> {
        let mut request = Request::get("/").header(HOST, host).body(()).unwrap();
        request.extensions_mut().insert(PeerAddr(peer.parse().unwrap()));
        request
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
}
