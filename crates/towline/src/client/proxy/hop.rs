//! One proxy: its address, its protocol, and the credentials for it.

use std::fmt;

use http::Uri;
use towline_proto::handshake::{Credentials, Target};

use crate::client::shown::shown;

/// The protocol of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// HTTP/1.1 CONNECT.
    Http,
    /// The same over TLS.
    Https,
    /// SOCKS 5, with names looked up here.
    Socks5,
    /// SOCKS 5, with names looked up by the proxy.
    Socks5h,
}

impl Scheme {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "http" => Self::Http,
            "https" => Self::Https,
            "socks5" => Self::Socks5,
            // Written into the environment by desktops.
            "socks5h" | "socks" => Self::Socks5h,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks5 | Self::Socks5h => 1080,
        }
    }

    pub(crate) fn is_socks(self) -> bool {
        matches!(self, Self::Socks5 | Self::Socks5h)
    }
}

/// One proxy, parsed from its URL. `Display` and `Debug` omit the credentials.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) credentials: Option<Credentials>,
}

impl Hop {
    /// Parses `scheme://user:password@host:port`. The default is `http`, no credentials, and the
    /// port of the scheme. The error is a whole sentence.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        Self::parse_by_default("http", url)
    }

    /// The same, with another default scheme.
    pub(crate) fn parse_by_default(default: &str, url: &str) -> Result<Self, String> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").unwrap_or((default, url));
        let Some(scheme) = Scheme::parse(&scheme.to_ascii_lowercase()) else {
            return Err(format!(
                "{} is not the URL of a proxy that can be used: the schemes are \"http\", \
                 \"https\", \"socks5\" and \"socks5h\"",
                shown(url)
            ));
        };
        let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if behind.contains('@') {
            // Otherwise the start of the user would be taken for the host.
            return Err(format!(
                "{} is not the URL of a proxy: in a user and a password, \"/\", \"?\" and \"#\" are \
                 written with percent signs",
                shown(url)
            ));
        }
        let (user_info, host) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(user_info), host),
            None => (None, authority),
        };
        let uri = format!("http://{host}").parse::<Uri>().ok();
        let Some((uri, target)) = uri.and_then(|uri| Target::from_uri(&uri).map(|at| (uri, at)))
        else {
            return Err(format!(
                "{} is not the URL of a proxy: write a scheme, perhaps a user and a password with \
                 percent signs for what can't stand there, a host and a port",
                shown(url)
            ));
        };
        Ok(Self {
            scheme,
            host: target.host().to_owned(),
            port: uri.port_u16().unwrap_or(scheme.default_port()),
            credentials: user_info.map(Credentials::from_user_info),
        })
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = (self.scheme.name(), &self.host, self.port);
        // An IPv6 address has colons.
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_url_has_defaults_for_all_but_the_host() {
        for (url, expected) in [
            ("http://proxy", "http://proxy:80"),
            ("HTTPS://Proxy/", "https://proxy:443"),
            ("socks5://proxy", "socks5://proxy:1080"),
            ("socks5h://[::1]:9050", "socks5h://[::1]:9050"),
            ("socks://proxy:80/", "socks5h://proxy:80"),
            ("proxy:3128", "http://proxy:3128"),
            (" user:secret@10.0.0.1:3128/a?b ", "http://10.0.0.1:3128"),
        ] {
            assert_eq!(Hop::parse(url).unwrap().to_string(), expected, "{url}");
        }
        assert_eq!(Hop::parse_by_default("socks5h", "a:1").unwrap().to_string(), "socks5h://a:1");
    }

    #[test]
    fn user_and_password_are_decoded_and_not_shown() {
        let hop = Hop::parse("socks5://us%40er:se%3Ac@ret%25@proxy").unwrap();
        assert_eq!(hop.credentials, Some(Credentials::new("us@er", "se:c@ret%")));
        let shown = format!("{hop} {hop:?}");
        assert!(!shown.contains("us@er") && !shown.contains("ret"), "{shown}");
        assert_eq!(
            Hop::parse("http://user@proxy").unwrap().credentials,
            Some(Credentials::new("user", ""))
        );
    }

    #[test]
    fn what_is_no_url_of_a_proxy_is_told_without_the_password() {
        for url in [
            "ftp://user:secret@proxy",
            "socks4://user:secret@proxy",
            "http://user:secret@",
            "http://user:sec/ret@proxy",
            "user:secret@proxy:99999",
            "http://user:secret@pro xy",
            "socks5://user:secret@[::1",
            "http://user:secret@proxy:80:80",
        ] {
            let error = Hop::parse(url).unwrap_err();
            assert!(!error.contains("sec") && !error.contains("user:"), "{error}");
        }
        assert!(Hop::parse("").is_err() && Hop::parse("http://").is_err());
    }
}
