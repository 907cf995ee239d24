//! Origins (RFC 6454), and the policy for accepting them (RFC 6455, section 10.2).

use std::fmt;

use crate::handshake::authority::{Authority, Host};
use crate::handshake::excerpt::excerpt;

/// An origin: a scheme, a host and a port, or the opaque origin `null`.
///
/// Two origins are equal if a browser treats them as the same. The case of scheme and host does not
/// matter, nor do explicit default ports (80 for `http` and `ws`, 443 for `https` and `wss`) or the
/// abbreviation of IPv6 addresses. `null` equals `null` here, as a list needs, although no two
/// opaque origins are the same.
///
/// ```
/// use towline_proto::handshake::Origin;
///
/// assert_eq!(Origin::parse("HTTPS://Example.com:443")?, Origin::parse("https://example.com")?);
/// assert_ne!(Origin::parse("http://example.com")?, Origin::parse("https://example.com")?);
/// # Ok::<(), towline_proto::handshake::OriginError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    Null,
    /// The scheme is in lower case. A scheme such as `file` has no host, and a scheme without a
    /// known default port may have no port.
    Tuple {
        scheme: String,
        host: Option<Host>,
        port: Option<u16>,
    },
}

impl Origin {
    /// Parses `scheme://host[:port]` or `null`.
    ///
    /// # Errors
    ///
    /// [`OriginError`] for any other text, such as a URL with a path, or a list of two origins,
    /// which RFC 6454 allows after a redirect and no browser sends.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        if text == "null" {
            return Ok(Self(Kind::Null));
        }
        let invalid = || OriginError { value: excerpt(text) };
        let (scheme, authority) = text.split_once("://").ok_or_else(invalid)?;
        let scheme = parse_scheme(scheme).ok_or_else(invalid)?;
        let default = default_port(&scheme);
        if authority.is_empty() && default.is_none() {
            return Ok(Self(Kind::Tuple { scheme, host: None, port: None }));
        }
        let Authority { host, port } = Authority::parse(authority).ok_or_else(invalid)?;
        Ok(Self(Kind::Tuple { scheme, host: Some(host), port: port.or(default) }))
    }

    /// Returns whether this is `null`: the origin of a sandboxed frame, a `data:` URL, and of
    /// others that hide theirs.
    pub fn is_null(&self) -> bool {
        self.0 == Kind::Null
    }

    /// Returns whether the requested host served the page of this origin, and over TLS if the
    /// request is known to have come over TLS.
    fn is_at(&self, host: &str, over_tls: bool) -> bool {
        let Kind::Tuple { scheme, host: Some(own), port } = &self.0 else { return false };
        // An application's own scheme, such as `capacitor://localhost`, does not identify a server.
        if scheme != "http" && scheme != "https" {
            return false;
        }
        // An attacker who can modify an `http` page in transit could act in the visitor's name.
        if over_tls && scheme != "https" {
            return false;
        }
        // The port of a `Host` without one depends on the scheme of the request, which a server
        // behind a TLS proxy cannot know.
        Authority::parse(host)
            .is_some_and(|asked| asked.host == *own && asked.port.or(default_port(scheme)) == *port)
    }
}

fn parse_scheme(scheme: &str) -> Option<String> {
    let valid = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    valid.then(|| scheme.to_ascii_lowercase())
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// The origins from which a server accepts requests (RFC 6455, section 10.2).
///
/// Browsers let any page open a WebSocket to any server, with the visitor's cookies. The `Origin`
/// header tells the server which site the page belongs to. Without a check, any site that a
/// signed-in user visits can talk to the server in the user's name.
///
/// A request without `Origin` does not come from a browser and is always allowed: a program could
/// send any value, so a check would be useless.
///
/// [`list`](Self::list) has an example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginPolicy {
    /// The page's host and port must be those of the request, from its `Host` or `:authority`. A
    /// missing port is 80 or 443, by the scheme of the origin. `null` is rejected. The default.
    ///
    /// If the request is known to have come over TLS, the page's scheme must also be `https`,
    /// because an attacker on the network can modify `http` pages. It is known if the server itself
    /// does TLS, or if a trusted proxy reports it in `X-Forwarded-Proto` or `Forwarded`
    /// ([`TrustedProxies`](crate::handshake::TrustedProxies)). If it is not known, both schemes are
    /// accepted. To accept `http` pages anyway, or to always require `https`, use a
    /// [`list`](Self::list).
    #[default]
    SameOrigin,
    /// Every page of every site. Use it for a public service without users, or one that requires a
    /// secret that browsers do not send automatically.
    Any,
    /// Only the origins of this list.
    List(OriginList),
}

impl OriginPolicy {
    /// Creates a policy that allows only the origins of this list; see [`OriginList`].
    ///
    /// ```
    /// use towline_proto::handshake::OriginPolicy;
    ///
    /// let policy = OriginPolicy::list(["https://app.example", "https://*.app.example"])?;
    /// assert!(policy.allows(Some("https://eu.app.example"), "api.example"));
    /// assert!(!policy.allows(Some("https://app.example.evil.example"), "api.example"));
    /// # Ok::<(), towline_proto::handshake::OriginError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OriginError`] for the first entry that is neither an origin nor a pattern.
    pub fn list<I>(origins: I) -> Result<Self, OriginError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        OriginList::new(origins).map(OriginPolicy::List)
    }

    /// Returns whether a request for this host (`host[:port]`), with this `Origin` header or none,
    /// is allowed if it is not known to have come over TLS. Only [`OriginPolicy::Any`] allows an
    /// `Origin` that cannot be parsed.
    pub fn allows(&self, origin: Option<&str>, host: &str) -> bool {
        self.check(origin, host, false)
    }

    /// Like [`allows`](Self::allows), for a request that came over TLS.
    ///
    /// ```
    /// use towline_proto::handshake::OriginPolicy;
    ///
    /// let policy = OriginPolicy::SameOrigin;
    /// assert!(policy.allows_over_tls(Some("https://app.example"), "app.example"));
    /// assert!(!policy.allows_over_tls(Some("http://app.example"), "app.example"));
    /// ```
    pub fn allows_over_tls(&self, origin: Option<&str>, host: &str) -> bool {
        self.check(origin, host, true)
    }

    pub(crate) fn check(&self, origin: Option<&str>, host: &str, over_tls: bool) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Self::Any => true,
            Self::SameOrigin => {
                Origin::parse(origin).is_ok_and(|origin| origin.is_at(host, over_tls))
            }
            Self::List(list) => Origin::parse(origin).is_ok_and(|origin| list.contains(&origin)),
        }
    }
}

/// The origins of [`OriginPolicy::List`].
///
/// An entry is one of:
///
/// - an origin, such as `https://app.example:8443`
/// - a pattern for all subdomains at any depth, such as `https://*.app.example`, which does not
///   match `app.example` itself and never an IP address
/// - `null`, which any site can produce with a sandboxed frame, so list it only if
///   [`OriginPolicy::Any`] would be acceptable
///
/// Scheme, host and port must all match.
///
/// [`OriginPolicy::list`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginList(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Exact(Origin),
    /// The suffix with its leading dot, so that `*.a.example` never matches `nota.example`.
    Below {
        scheme: String,
        suffix: String,
        port: Option<u16>,
    },
}

impl OriginList {
    /// Creates a list of origins and patterns.
    ///
    /// # Errors
    ///
    /// [`OriginError`] for the first entry that is neither.
    pub fn new<I>(origins: I) -> Result<Self, OriginError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        origins
            .into_iter()
            .map(|entry| Entry::parse(entry.as_ref()))
            .collect::<Result<_, _>>()
            .map(OriginList)
    }

    /// Returns whether the list has this origin or a pattern that matches it.
    pub fn contains(&self, origin: &Origin) -> bool {
        self.0.iter().any(|entry| entry.matches(origin))
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, OriginError> {
        if !text.contains('*') {
            return Origin::parse(text).map(Entry::Exact);
        }
        let invalid = || OriginError { value: excerpt(text) };
        let (scheme, pattern) = text.split_once("://*.").ok_or_else(invalid)?;
        let Origin(kind) =
            Origin::parse(&format!("{scheme}://{pattern}")).map_err(|_| invalid())?;
        match kind {
            Kind::Tuple { scheme, host: Some(Host::Name(name)), port } if !name.contains('*') => {
                Ok(Self::Below { scheme, suffix: format!(".{name}"), port })
            }
            _ => Err(invalid()),
        }
    }

    fn matches(&self, origin: &Origin) -> bool {
        match (self, &origin.0) {
            (Self::Exact(exact), _) => exact == origin,
            (
                Self::Below { scheme, suffix, port },
                Kind::Tuple { scheme: own_scheme, host: Some(Host::Name(name)), port: own_port },
            ) => {
                scheme == own_scheme
                    && port == own_port
                    && name.strip_suffix(suffix.as_str()).is_some_and(|below| !below.is_empty())
            }
            _ => false,
        }
    }
}

/// The error for text that is neither an origin nor, in a list, a pattern.
///
/// [`OriginPolicy::list`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginError {
    value: String,
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not an origin: expected a scheme, a host and optionally a port, such as \
             \"https://example.com\", or \"null\"",
            self.value
        )
    }
}

impl std::error::Error for OriginError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn origin(text: &str) -> Origin {
        Origin::parse(text).unwrap()
    }

    #[test]
    fn origins_are_compared_as_browsers_do() {
        assert_eq!(origin("HTTP://EXAMPLE.com"), origin("http://example.com:80"));
        assert_eq!(origin("https://[::1]"), origin("https://[0::1]:443"));
        assert_eq!(origin("chrome-extension://abc"), origin("chrome-extension://ABC"));
        assert_ne!(origin("https://example.com"), origin("https://example.com:80"));
        assert_ne!(origin("https://example.com"), origin("https://example.com."));
        assert_ne!(origin("file://"), origin("null"));
        assert!(origin("null").is_null());
    }

    #[test]
    fn what_is_no_origin_is_an_error() {
        for bad in [
            "",
            "*",
            "NULL",
            "example.com",
            "https://",
            "https:///",
            "https://a/",
            "://a",
            "1s://a",
            "https://u@a",
            "https://a:b",
            "https://a https://b",
            "https://a, https://b",
            "é://a",
            "https://*",
            "https:a",
        ] {
            // `https://*` is an odd but harmless host in a request, and no entry of a list.
            assert!(Origin::parse(bad).is_err() || bad == "https://*", "{bad}");
            assert!(OriginList::new([bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_same_origin_has_the_same_host_and_port() {
        let same = |origin, host| OriginPolicy::SameOrigin.allows(Some(origin), host);
        for (origin, host) in [
            ("https://example.com", "example.com"),
            ("http://example.com", "example.com"),
            ("https://example.com", "EXAMPLE.com:443"),
            ("https://example.com:8443", "example.com:8443"),
            ("http://localhost:3000", "localhost:3000"),
            ("http://127.0.0.1:80", "127.0.0.1"),
            ("https://[::1]:9001", "[0:0::1]:9001"),
        ] {
            assert!(same(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://evil.example", "example.com"),
            ("https://www.example.com", "example.com"),
            ("https://example.com.evil.example", "example.com"),
            ("https://example.com", "example.com:80"),
            ("https://example.com:8443", "example.com"),
            ("http://localhost:3000", "localhost:9001"),
            ("null", "example.com"),
            ("null", "null"),
            ("file://", "example.com"),
            ("capacitor://localhost", "localhost"),
            ("example.com", "example.com"),
            ("https://example.com/", "example.com"),
            ("", "example.com"),
            ("https://example.com", ""),
        ] {
            assert!(!same(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn over_tls_the_same_origin_has_the_same_scheme_too() {
        let over_tls = |origin, host| OriginPolicy::SameOrigin.allows_over_tls(Some(origin), host);
        assert!(over_tls("https://example.com", "example.com"));
        assert!(over_tls("https://example.com:8443", "example.com:8443"));
        for (origin, host) in [
            ("http://example.com", "example.com"),
            ("http://example.com:8443", "example.com:8443"),
            ("http://example.com:443", "example.com:443"),
            ("https://evil.example", "example.com"),
        ] {
            assert!(!over_tls(origin, host), "{origin} {host}");
        }
        assert!(OriginPolicy::SameOrigin.allows_over_tls(None, "example.com"));
        let listed = OriginPolicy::list(["http://example.com"]).unwrap();
        assert!(listed.allows_over_tls(Some("http://example.com"), "example.com"));
    }

    #[test]
    fn who_names_no_origin_is_no_browser() {
        let nobody = OriginPolicy::list([""; 0]).unwrap();
        for policy in [OriginPolicy::SameOrigin, OriginPolicy::Any, nobody] {
            assert!(policy.allows(None, "example.com"));
        }
        assert!(OriginPolicy::Any.allows(Some("*"), "example.com"));
    }

    #[test]
    fn a_list_allows_its_origins_only() {
        let policy = OriginPolicy::list(["https://App.example", "http://app.example:81"]).unwrap();
        assert!(policy.allows(Some("https://app.example:443"), "other"));
        assert!(policy.allows(Some("http://app.example:81"), "other"));
        for bad in
            ["http://app.example", "https://app.example:444", "https://x.app.example", "null"]
        {
            // Not even the host's own pages: the list says it all.
            assert!(!policy.allows(Some(bad), "app.example"), "{bad}");
        }
        assert!(OriginPolicy::list(["null"]).unwrap().allows(Some("null"), "other"));
        assert!(OriginPolicy::list(["file://"]).unwrap().allows(Some("file://"), "other"));
    }

    #[test]
    fn a_pattern_means_the_hosts_below() {
        let policy = OriginPolicy::list(["https://*.Example.com"]).unwrap();
        for good in ["https://a.example.com", "https://a.b.EXAMPLE.com:443"] {
            assert!(policy.allows(Some(good), "other"), "{good}");
        }
        for bad in [
            "https://example.com",
            "https://.example.com",
            "https://notexample.com",
            "https://a.example.com.evil.example",
            "https://a.example.com:8443",
            "http://a.example.com",
            "https://evil.example#.example.com",
            "https://evil.example/.example.com",
            "https://evil.example\\.example.com",
            "https://evil.example@a.example.com",
            "null",
        ] {
            assert!(!policy.allows(Some(bad), "other"), "{bad}");
        }
        for bad in [
            "https://*",
            "https://*.",
            "*",
            "*.example.com",
            "https://a.*.com",
            "https://a*.com",
            "https://*.*.com",
            "https://*.127.0.0.1",
            "https://*.[::1]",
            "*://a.com",
            "https://*.a/",
        ] {
            assert!(OriginList::new([bad]).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in r"[a-z]{0,5}(://)?[\[\]:.0-9*@/]{0,20}|\PC{0,30}") {
            let _ = Origin::parse(&text);
            let _ = OriginList::new([&text]);
            OriginPolicy::SameOrigin.allows(Some(&text), &text);
        }
    }
}
