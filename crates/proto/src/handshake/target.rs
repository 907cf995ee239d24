//! The server that a URI names.

use http::{HeaderValue, Uri};

use crate::handshake::authority::{Authority, Host};
use crate::handshake::credentials::Credentials;

/// A parsed `ws:` or `wss:` URI (RFC 6455, section 3): the server to connect to, and the resource
/// to request.
///
/// `http:` and `https:` mean the same as `ws:` and `wss:`.
///
/// ```
/// use towline_proto::handshake::Target;
///
/// let target = Target::from_uri(&"wss://[2001:db8::1]/feed?from=now".parse()?).unwrap();
/// assert!(target.is_secure());
/// assert_eq!((target.host(), target.port()), ("2001:db8::1", 443));
/// assert_eq!(target.authority(), "[2001:db8::1]");
/// assert_eq!(target.resource(), "/feed?from=now");
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    secure: bool,
    host: String,
    port: u16,
    authority: String,
    resource: String,
    credentials: Option<HeaderValue>,
}

impl Target {
    /// Parses a URI. Returns `None` if it is not a WebSocket URI: its scheme is missing or another,
    /// or its host is neither a name nor an address.
    pub fn from_uri(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let secure = match scheme.as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?.as_str();
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        let Authority { host, port } = Authority::parse(authority)?;
        let default = if secure { 443 } else { 80 };
        let port = port.unwrap_or(default);
        let (host, bracketed) = match host {
            Host::Ip(ip) if ip.is_ipv6() => (ip.to_string(), format!("[{ip}]")),
            Host::Ip(ip) => (ip.to_string(), ip.to_string()),
            Host::Name(name) => (name.clone(), name),
        };
        // RFC 6455, section 4.1: "|host| with the |port| … if not using the default port".
        let authority = if port == default { bracketed } else { format!("{bracketed}:{port}") };
        Some(Self {
            secure,
            host,
            port,
            authority,
            resource: resource(uri),
            credentials: user.map(|user| Credentials::from_user_info(user).basic()),
        })
    }

    /// Returns whether the connection uses TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns the host in lower case; an IPv6 address has no brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port; the default is 80 or 443.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the host, in brackets if it is an IPv6 address, with the port unless that is the
    /// default: the value of `Host`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the path and the query.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Returns the URI's user and password as the value of `Authorization`.
    pub(crate) fn credentials(&self) -> Option<&HeaderValue> {
        self.credentials.as_ref()
    }
}

/// RFC 6455, section 3: the "path" or "/", then "?" and the "query" if there is one; a fragment is
/// never sent. `Uri` accepts non-ASCII characters, which are percent-encoded here.
fn resource(uri: &Uri) -> String {
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut out = String::with_capacity(path.len() + query.len());
    for byte in path.bytes().chain(query.bytes()) {
        match byte {
            b'!'..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn target(uri: &str) -> Target {
        Target::from_uri(&uri.parse().unwrap()).unwrap()
    }

    #[test]
    fn ports_have_defaults_and_are_written_only_otherwise() {
        for (uri, secure, host, port, authority) in [
            ("ws://Example.com", false, "example.com", 80, "example.com"),
            ("wss://example.com/", true, "example.com", 443, "example.com"),
            ("http://example.com:80", false, "example.com", 80, "example.com"),
            ("HTTPS://example.com:443", true, "example.com", 443, "example.com"),
            ("ws://example.com:443", false, "example.com", 443, "example.com:443"),
            ("wss://127.0.0.1:80", true, "127.0.0.1", 80, "127.0.0.1:80"),
            ("ws://[::1]", false, "::1", 80, "[::1]"),
            ("ws://[0:0::1]:9001", false, "::1", 9001, "[::1]:9001"),
        ] {
            let target = target(uri);
            assert_eq!(target.is_secure(), secure, "{uri}");
            assert_eq!((target.host(), target.port()), (host, port), "{uri}");
            assert_eq!(target.authority(), authority, "{uri}");
        }
    }

    #[test]
    fn the_resource_is_the_path_and_the_query() {
        for (uri, resource) in [
            ("ws://a", "/"),
            ("ws://a/", "/"),
            ("ws://a?b=c", "/?b=c"),
            ("ws://a/b/c%20d?e=f", "/b/c%20d?e=f"),
            ("ws://a/b#c", "/b"),
            ("ws://a/\u{e9}?\u{e9}", "/%C3%A9?%C3%A9"),
        ] {
            assert_eq!(target(uri).resource(), resource, "{uri}");
        }
    }

    #[test]
    fn what_is_no_websocket_is_refused() {
        for uri in ["/chat", "example.com:80", "ftp://a", "ws://[v1.a]", "wss+x://a", "*"] {
            assert_eq!(uri.parse().ok().and_then(|uri| Target::from_uri(&uri)), None, "{uri}");
        }
    }

    #[test]
    fn user_and_password_become_credentials() {
        let credentials = |uri: &str| target(uri).credentials().map(|value| value.to_owned());
        // The example of RFC 7617, section 2.
        let basic = credentials("ws://Aladdin:open%20sesame@a").unwrap();
        assert_eq!(basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(basic.is_sensitive());
        assert_eq!(credentials("ws://user@a").unwrap(), "Basic dXNlcjo=");
        assert_eq!(credentials("ws://a"), None);
        assert_eq!(target("ws://user:secret@a").authority(), "a");
    }

    proptest! {
        #[test]
        fn no_uri_makes_it_panic(uri in r"(ws|wss|http)://[\[\]:@%a-z0-9.]{0,20}[/?#%a-z\PC]{0,20}") {
            if let Some(target) = uri.parse().ok().and_then(|uri| Target::from_uri(&uri)) {
                prop_assert!(target.resource().starts_with('/'));
                prop_assert!(target.resource().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
