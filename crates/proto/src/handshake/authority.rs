//! `host[:port]`, as in a `Host` header, an origin or a URI.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host and an optional port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

/// A normalized host, so that different spellings of one host are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    Ip(IpAddr),
    /// In lower case.
    Name(String),
}

impl Authority {
    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`, without user, white space or path.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']')?;
            let host = Host::Ip(IpAddr::V6(host.parse::<Ipv6Addr>().ok()?));
            let port = match rest.strip_prefix(':') {
                Some(port) => parse_port(port)?,
                None if rest.is_empty() => None,
                None => return None,
            };
            return Some(Self { host, port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, parse_port(port)?),
            None => (text, None),
        };
        if host.is_empty() || !host.bytes().all(is_name_byte) {
            return None;
        }
        let host = match host.parse::<Ipv4Addr>() {
            Ok(ip) => Host::Ip(IpAddr::V4(ip)),
            Err(_) => Host::Name(host.to_ascii_lowercase()),
        };
        Some(Self { host, port })
    }
}

/// RFC 3986, section 3.2.3: `port = *DIGIT`, so `host:` is valid and has no port.
fn parse_port(digits: &str) -> Option<Option<u16>> {
    if digits.is_empty() {
        return Some(None);
    }
    // `str::parse` accepts a sign.
    let decimal = digits.bytes().all(|byte| byte.is_ascii_digit());
    decimal.then(|| digits.parse().ok().map(Some)).flatten()
}

/// `reg-name` of RFC 3986 without the comma, which joins the values of several headers.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(host: &str, port: Option<u16>) -> Option<Authority> {
        Some(Authority { host: Host::Name(host.to_owned()), port })
    }

    #[test]
    fn names_are_lower_cased_and_addresses_are_compared_as_such() {
        assert_eq!(Authority::parse("Example.COM"), name("example.com", None));
        assert_eq!(Authority::parse("example.com:8080"), name("example.com", Some(8080)));
        assert_eq!(Authority::parse("example.com:"), name("example.com", None));
        assert_eq!(Authority::parse("[::1]:80"), Authority::parse("[0:0:0:0:0:0:0:1]:80"));
        let ip = Authority { host: Host::Ip(Ipv4Addr::LOCALHOST.into()), port: Some(1) };
        assert_eq!(Authority::parse("127.0.0.1:1"), Some(ip));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            ":80",
            "a b",
            "a:b",
            "a:+80",
            "a:65536",
            "a:80:80",
            "user@a",
            "a/b",
            "a,b",
            "::1",
            "[::1",
            "[::1]80",
            "[a]",
            "a\\b",
            "a?b",
            "a#b",
            "\u{e9}",
            "[fe80::1%25eth0]",
        ] {
            assert_eq!(Authority::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in r"[\[\]:.0-9a-f@ ]{0,30}|\PC{0,30}") {
            let _ = Authority::parse(&text);
        }
    }
}
