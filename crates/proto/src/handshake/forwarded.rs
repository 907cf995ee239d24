//! The client address and scheme that proxies report: `X-Forwarded-For` and `X-Forwarded-Proto`, or
//! `Forwarded` (RFC 7239).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use http::{HeaderMap, HeaderName, header};

use crate::handshake::excerpt::excerpt;
use crate::handshake::token::trim;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The proxies that are trusted to report where a request came from.
///
/// Each proxy appends the address of its peer to a header, but any client can send that header too.
/// So the list is read from its end, which the nearest proxy wrote, while the address that wrote an
/// entry is trusted. The first address that is not trusted is the client. If the direct peer is not
/// trusted, the headers are ignored.
///
/// The default trusts loopback only (127.0.0.0/8 and ::1): a proxy on the same machine. Add other
/// proxies by address or network with [`new`](TrustedProxies::new) or [`and`](TrustedProxies::and).
/// [`private`](TrustedProxies::private) trusts all private networks. Use it only if no client is in
/// one: a client there could claim any address.
///
/// Only one header is read for the address, by default [`ForwardedHeader::XForwardedFor`]. A proxy
/// maintains one of the two and passes the other on unchanged, so a server that read both would
/// trust the client.
///
/// ```
/// use http::HeaderMap;
/// use towline_proto::handshake::TrustedProxies;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.1.2.3".parse()?);
///
/// let trusted = TrustedProxies::default().and("10.1.0.0/16")?;
/// // The client claimed to be 6.6.6.6.
/// assert_eq!(trusted.client_address("127.0.0.1".parse()?, &headers).to_string(), "203.0.113.9");
/// // An outside peer could have made up all of it.
/// assert_eq!(trusted.client_address("198.51.100.7".parse()?, &headers).to_string(), "198.51.100.7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    header: ForwardedHeader,
}

/// The header that the trusted proxies maintain.
///
/// [`TrustedProxies`] has an example.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, and `X-Forwarded-Proto` for the scheme. Used by most proxies, and by
    /// WebSocket-Node. The default.
    #[default]
    XForwardedFor,
    /// `Forwarded`, with its `for` and `proto` parameters (RFC 7239).
    Forwarded,
}

/// The addresses of the machine itself.
const LOOPBACK: [Network; 2] = [v4(127, 0, 8), v6(0, 1, 128)];

/// RFC 1918, unique local addresses (RFC 4193), and link-local ones (RFC 3927, RFC 4291).
const PRIVATE: [Network; 6] = [
    v4(10, 0, 8),
    v4(172, 16, 12),
    v4(192, 168, 16),
    v4(169, 254, 16),
    v6(0xfc00, 0, 7),
    v6(0xfe80, 0, 10),
];

const fn v4(a: u8, b: u8, prefix: u32) -> Network {
    Network { base: IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), prefix }
}

const fn v6(first: u16, last: u16, prefix: u32) -> Network {
    Network { base: IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last)), prefix }
}

/// Trusts loopback only.
impl Default for TrustedProxies {
    fn default() -> Self {
        Self { networks: LOOPBACK.to_vec(), header: ForwardedHeader::default() }
    }
}

impl TrustedProxies {
    /// Trusts no proxy: the client is the peer of the connection.
    pub fn none() -> Self {
        Self { networks: Vec::new(), header: ForwardedHeader::default() }
    }

    /// Trusts loopback, the private networks of RFC 1918, unique local addresses (fc00::/7) and
    /// link-local ones (169.254.0.0/16, fe80::/10).
    ///
    /// Any client in such a network can then claim any address. Use it only if clients reach the
    /// server through a proxy and in no other way.
    pub fn private() -> Self {
        let networks = LOOPBACK.into_iter().chain(PRIVATE).collect();
        Self { networks, header: ForwardedHeader::default() }
    }

    /// Trusts only these networks, not loopback: `"10.0.0.0/8"`, `"fd00::/8"`, or a single address
    /// such as `"192.0.2.1"`.
    ///
    /// # Errors
    ///
    /// [`CidrError`] for the first invalid entry.
    pub fn new<I>(networks: I) -> Result<Self, CidrError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        networks
            .into_iter()
            .try_fold(Self::none(), |trusted, network| trusted.and(network.as_ref()))
    }

    /// Adds a trusted network.
    ///
    /// # Errors
    ///
    /// [`CidrError`] if it is neither `address/prefix` nor an address, if the prefix is longer than
    /// the address, or if the address has bits set beyond the prefix: `10.1.0.0/8` is more likely a
    /// mistake than a spelling of `10.0.0.0/8`.
    pub fn and(mut self, network: &str) -> Result<Self, CidrError> {
        self.networks.push(network.parse()?);
        Ok(self)
    }

    /// Sets the header to read. Default: [`ForwardedHeader::XForwardedFor`].
    #[must_use]
    pub fn header(mut self, header: ForwardedHeader) -> Self {
        self.header = header;
        self
    }

    /// Returns whether this address is trusted.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Returns the address of the client whose request came through `peer`.
    ///
    /// That is the first address, counted from the server, that is not trusted, or the farthest if
    /// all are trusted. An entry that is not an address (`unknown`, or an obfuscated identifier of
    /// RFC 7239) ends the search at the proxy that wrote it. An IPv4-mapped IPv6 address
    /// (`::ffff:192.0.2.1`) is returned as IPv4.
    #[doc(alias = "remoteAddress")]
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        match self.header {
            ForwardedHeader::XForwardedFor => {
                let lines = headers.get_all(&X_FORWARDED_FOR).into_iter().rev();
                let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
                self.walk(peer, entries.map(parse_node))
            }
            ForwardedHeader::Forwarded => {
                let lines = headers.get_all(header::FORWARDED).into_iter().rev();
                let entries = lines.flat_map(|line| Backwards::new(line.as_bytes(), b','));
                self.walk(peer, entries.map(|entry| entry.and_then(parse_element)))
            }
        }
    }

    /// Returns whether the client used TLS, as reported by `peer`: `Some(true)` for the scheme
    /// `https` or `wss`, `Some(false)` for `http` or `ws`, and `None` if the peer is not trusted or
    /// does not report it.
    ///
    /// With [`ForwardedHeader::XForwardedFor`], reads the first entry of `X-Forwarded-Proto`: if
    /// several proxies each added one, that is the client's. With [`ForwardedHeader::Forwarded`],
    /// reads `proto` of the element that names the client.
    pub fn client_is_secure(&self, peer: IpAddr, headers: &HeaderMap) -> Option<bool> {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return None;
        }
        match self.header {
            ForwardedHeader::XForwardedFor => {
                let line = headers.get(&X_FORWARDED_PROTO)?.as_bytes();
                is_secure(line.split(|byte| *byte == b',').next()?)
            }
            ForwardedHeader::Forwarded => {
                let lines = headers.get_all(header::FORWARDED).into_iter().rev();
                let mut secure = None;
                let mut writer = peer;
                for element in lines.flat_map(|line| Backwards::new(line.as_bytes(), b',')) {
                    if !self.trusts(writer) {
                        break;
                    }
                    let Some(element) = element else { break };
                    secure = parameter(element, b"proto").and_then(is_secure);
                    let Some(address) = parse_element(element) else { break };
                    writer = address.to_canonical();
                }
                secure
            }
        }
    }

    /// Walks from the server towards the client. `None` is an entry that is not an address.
    fn walk(&self, peer: IpAddr, entries: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut farthest = peer;
        for entry in entries {
            if !self.trusts(farthest) {
                break;
            }
            let Some(address) = entry else { break };
            farthest = address.to_canonical();
        }
        farthest
    }
}

/// A network in CIDR notation. The base has no bits set beyond the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    prefix: u32,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differing = (base.to_bits() ^ address.to_bits()).leading_zeros();
                differing >= self.prefix
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differing = (base.to_bits() ^ address.to_bits()).leading_zeros();
                differing >= self.prefix
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let invalid = || CidrError { value: excerpt(text) };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| invalid())?;
        let bits = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            // `str::parse` accepts a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| invalid())?
            }
            Some(_) => return Err(invalid()),
            None => bits,
        };
        let beyond = match base {
            IpAddr::V4(base) => base.to_bits().checked_shl(prefix).unwrap_or(0) != 0,
            IpAddr::V6(base) => base.to_bits().checked_shl(prefix).unwrap_or(0) != 0,
        };
        // Mapped addresses are compared as IPv4, so this would never match.
        let mapped = matches!(base, IpAddr::V6(base) if base.to_ipv4_mapped().is_some());
        if prefix > bits || beyond || mapped {
            return Err(invalid());
        }
        Ok(Self { base, prefix })
    }
}

/// The pieces of a line between separators outside quoted strings, from last to first.
///
/// Backwards because a trusted proxy wrote the end: nothing that the client sent before it, such as
/// an unclosed quote, affects how the end is parsed. A piece with unbalanced quotes is `None` and
/// ends the iteration.
struct Backwards<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Backwards<'a> {
    fn new(line: &'a [u8], separator: u8) -> Self {
        Backwards { rest: Some(line), separator }
    }
}

impl<'a> Iterator for Backwards<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let mut quoted = false;
        let mut at = rest.len();
        while let Some(before) = at.checked_sub(1) {
            match rest.get(before) {
                Some(b'"') => {
                    // Within quotes, an odd number of backslashes escapes a quote. Each run of them
                    // is counted once, which keeps this linear.
                    let (start, _) = rest.split_at(before);
                    let slashes = start.iter().rev().take_while(|byte| **byte == b'\\').count();
                    quoted = !quoted || slashes % 2 == 1;
                    at = before - slashes;
                    continue;
                }
                Some(byte) if *byte == self.separator && !quoted => {
                    let (start, piece) = rest.split_at(before);
                    self.rest = Some(start);
                    return Some(piece.get(1..));
                }
                _ => {}
            }
            at = before;
        }
        Some((!quoted).then_some(rest))
    }
}

/// Returns the address in the `for` of a `forwarded-element` (RFC 7239, section 4).
fn parse_element(element: &[u8]) -> Option<IpAddr> {
    parse_node(parameter(element, b"for")?)
}

/// Returns the raw value of a parameter of a `forwarded-element`.
fn parameter<'a>(element: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    for pair in Backwards::new(element, b';') {
        let pair = pair?;
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at(equals);
        if trim(name).eq_ignore_ascii_case(wanted) {
            return value.get(1..);
        }
    }
    None
}

/// Returns whether a scheme, with or without quotes, implies TLS; `None` for an unknown scheme.
fn is_secure(scheme: &[u8]) -> Option<bool> {
    let scheme = unquoted(scheme);
    let is = |names: [&[u8]; 2]| names.iter().any(|name| scheme.eq_ignore_ascii_case(name));
    if is([b"https", b"wss"]) {
        return Some(true);
    }
    is([b"http", b"ws"]).then_some(false)
}

/// Removes white space and quotes. No value used here needs unescaping.
fn unquoted(value: &[u8]) -> &[u8] {
    match trim(value) {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}

/// Parses an address with or without quotes, brackets and a port.
fn parse_node(node: &[u8]) -> Option<IpAddr> {
    let node = std::str::from_utf8(unquoted(node)).ok()?;
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = node.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let inner = node.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// The error for text that is not a network in CIDR notation.
///
/// [`TrustedProxies`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CidrError {
    value: String,
}

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not a network: expected an address and a prefix length with no bits set beyond \
             it, such as \"10.0.0.0/8\" or \"fc00::/7\", or a single address",
            self.value
        )
    }
}

impl std::error::Error for CidrError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn client(trusted: &TrustedProxies, peer: &str, name: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        trusted.client_address(peer.parse().unwrap(), &headers).to_string()
    }

    fn xff(peer: &str, lines: &[&str]) -> String {
        client(&TrustedProxies::private(), peer, "x-forwarded-for", lines)
    }

    fn forwarded(peer: &str, lines: &[&str]) -> String {
        let trusted = TrustedProxies::private().header(ForwardedHeader::Forwarded);
        client(&trusted, peer, "forwarded", lines)
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        assert_eq!(xff("203.0.113.1", &["127.0.0.1"]), "203.0.113.1");
        assert_eq!(forwarded("203.0.113.1", &["for=127.0.0.1"]), "203.0.113.1");
        let none = TrustedProxies::none();
        assert_eq!(client(&none, "127.0.0.1", "x-forwarded-for", &["9.9.9.9"]), "127.0.0.1");
    }

    #[test]
    fn the_last_untrusted_entry_is_the_client() {
        assert_eq!(xff("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(xff("127.0.0.1", &["9.9.9.9"]), "9.9.9.9");
        assert_eq!(xff("10.0.0.1", &["6.6.6.6, 9.9.9.9 , 192.168.1.1"]), "9.9.9.9");
        assert_eq!(xff("::1", &["6.6.6.6", "9.9.9.9, 172.31.0.1", "fd00::1"]), "9.9.9.9");
        assert_eq!(xff("127.0.0.1", &["10.0.0.7, 10.0.0.8"]), "10.0.0.7");
    }

    #[test]
    fn addresses_come_with_ports_and_brackets() {
        assert_eq!(xff("127.0.0.1", &["9.9.9.9:1234"]), "9.9.9.9");
        assert_eq!(xff("127.0.0.1", &["[2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(xff("127.0.0.1", &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(xff("::ffff:127.0.0.1", &["::ffff:9.9.9.9"]), "9.9.9.9");
    }

    #[test]
    fn what_is_no_address_ends_the_walk() {
        for bad in ["unknown", "", "9.9.9.9.9", "example.com", "\u{e9}", "9.9.9.9 8.8.8.8"] {
            let line = format!("6.6.6.6, {bad}, 10.0.0.2");
            assert_eq!(xff("127.0.0.1", &[&line]), "10.0.0.2", "{bad}");
        }
    }

    #[test]
    fn the_examples_of_rfc_7239() {
        for (line, address) in [
            ("for=192.0.2.43", "192.0.2.43"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
            ("for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=10.0.0.9", "2001:db8:cafe::17"),
            ("for=\"_gazonk\"", "127.0.0.1"),
            ("for=_hidden, for=_SEVKISEK", "127.0.0.1"),
            ("for=unknown", "127.0.0.1"),
        ] {
            assert_eq!(forwarded("127.0.0.1", &[line]), address, "{line}");
        }
    }

    #[test]
    fn separators_within_quotes_do_not_separate() {
        let line = "for=6.6.6.6;host=\"a\\\",b;c\\\\\";for=9.9.9.9";
        assert_eq!(forwarded("127.0.0.1", &[line]), "9.9.9.9");
        let line = "for=6.6.6.6, for=9.9.9.9;host=\"x, for=7.7.7.7\"";
        assert_eq!(forwarded("127.0.0.1", &[line]), "9.9.9.9");
    }

    #[test]
    fn what_a_client_sent_does_not_hide_what_the_proxy_appended() {
        for sent in ["for=\"", "\"", "for=\"6.6.6.6", "for=\"\\", ";;", "for", "for=,,"] {
            let line = format!("{sent}, for=9.9.9.9");
            assert_eq!(forwarded("127.0.0.1", &[&line]), "9.9.9.9", "{sent}");
            assert_eq!(forwarded("127.0.0.1", &[sent, "for=9.9.9.9"]), "9.9.9.9", "{sent}");
        }
    }

    #[test]
    fn the_other_header_is_not_read() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("9.9.9.9"));
        headers.insert("forwarded", HeaderValue::from_static("for=8.8.8.8"));
        let peer = "127.0.0.1".parse().unwrap();
        let trusted = TrustedProxies::default();
        assert_eq!(trusted.client_address(peer, &headers).to_string(), "9.9.9.9");
        let trusted = trusted.header(ForwardedHeader::Forwarded);
        assert_eq!(trusted.client_address(peer, &headers).to_string(), "8.8.8.8");
    }

    #[test]
    fn loopback_alone_is_trusted_by_default() {
        let (default, private) = (TrustedProxies::default(), TrustedProxies::private());
        for loopback in ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(default.trusts(loopback.parse().unwrap()), "{loopback}");
            assert!(private.trusts(loopback.parse().unwrap()), "{loopback}");
        }
        for neighbour in [
            "10.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.1.1",
            "fc00::",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!default.trusts(neighbour.parse().unwrap()), "{neighbour}");
            assert!(private.trusts(neighbour.parse().unwrap()), "{neighbour}");
        }
        for bad in [
            "126.0.0.1",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.169.0.1",
            "0.0.0.0",
            "::",
            "::2",
            "fe00::",
            "fec0::",
            "2001:db8::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!default.trusts(bad.parse().unwrap()), "{bad}");
            assert!(!private.trusts(bad.parse().unwrap()), "{bad}");
        }
        let named = default.and("10.1.0.0/16").unwrap();
        assert!(named.trusts("10.1.2.3".parse().unwrap()));
        assert!(named.trusts("127.0.0.1".parse().unwrap()));
        assert!(!named.trusts("10.2.0.1".parse().unwrap()));
    }

    #[test]
    fn a_trusted_proxy_says_whether_the_client_spoke_tls() {
        let secure = |trusted: &TrustedProxies, peer: &str, lines: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
            trusted.client_is_secure(peer.parse().unwrap(), &headers)
        };
        let x = TrustedProxies::default();
        let proto = "x-forwarded-proto";
        for (value, expected) in [
            ("https", Some(true)),
            ("WSS", Some(true)),
            ("http", Some(false)),
            ("ws", Some(false)),
            ("https, http", Some(true)),
            ("http,https", Some(false)),
            ("ftp", None),
            ("", None),
        ] {
            assert_eq!(secure(&x, "127.0.0.1", &[(proto, value)]), expected, "{value}");
            assert_eq!(secure(&x, "10.0.0.1", &[(proto, value)]), None, "{value}");
        }
        assert_eq!(secure(&x, "127.0.0.1", &[("forwarded", "for=9.9.9.9;proto=https")]), None);

        let forwarded = TrustedProxies::private().header(ForwardedHeader::Forwarded);
        for (value, expected) in [
            ("for=9.9.9.9;proto=https", Some(true)),
            ("proto=\"HTTPS\";for=unknown", Some(true)),
            ("proto=http", Some(false)),
            ("for=9.9.9.9", None),
            // The client's own element is not believed, and a proxy's in between is not the client's.
            ("for=6.6.6.6;proto=https, for=9.9.9.9;proto=http", Some(false)),
            ("for=9.9.9.9;proto=https, for=10.0.0.2;proto=http", Some(true)),
            ("for=\"", None),
        ] {
            assert_eq!(
                secure(&forwarded, "127.0.0.1", &[("forwarded", value)]),
                expected,
                "{value}"
            );
            assert_eq!(secure(&forwarded, "8.8.8.8", &[("forwarded", value)]), None, "{value}");
        }
        assert_eq!(secure(&forwarded, "127.0.0.1", &[(proto, "https")]), None);
    }

    #[test]
    fn networks_are_written_in_cidr() {
        let trusted =
            TrustedProxies::new(["203.0.113.0/24", "2001:db8::/32", "192.0.2.1"]).unwrap();
        for (address, expected) in [
            ("203.0.113.255", true),
            ("203.0.114.0", false),
            ("2001:db8:ffff::", true),
            ("2001:db9::", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(trusted.trusts(address.parse().unwrap()), expected, "{address}");
        }
        let everyone = TrustedProxies::new(["0.0.0.0/0", "::/0"]).unwrap();
        assert!(everyone.trusts("8.8.8.8".parse().unwrap()));
        for bad in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.1.0.0/8",
            "::1/127",
            "fc00::/129",
            "a/8",
            "10.0.0.0/8/8",
            "10/8",
            "::ffff:10.0.0.0/104",
            "10.0.0.0/99999999999",
        ] {
            let error = TrustedProxies::new([bad]).unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(line in r#"(for=|[",;\\= 1.:a]){0,40}"#) {
            forwarded("127.0.0.1", &[&line]);
            xff("127.0.0.1", &[&line]);
        }

        #[test]
        fn the_appended_entry_is_always_found(sent in r#"(for=|[",;\\= 1.:a]){0,30}"#) {
            let line = format!("{sent},for=9.9.9.9");
            prop_assert_eq!(forwarded("10.0.0.1", &[&line]), "9.9.9.9");
            let line = format!("{sent},9.9.9.9");
            prop_assert_eq!(xff("10.0.0.1", &[&line]), "9.9.9.9");
        }
    }
}
