//! The proxy that the environment names.

use std::ffi::OsString;

use crate::client::proxy::exceptions::Exceptions;
use crate::client::proxy::hop::Hop;

/// The environment variables, or a stand-in in tests.
pub(crate) struct Environment<V>(pub(crate) V);

impl<V: Fn(&str) -> Option<OsString>> Environment<V> {
    /// The hosts to connect to without a proxy.
    pub(crate) fn exceptions(&self) -> Result<Exceptions, String> {
        let mut exceptions = Exceptions::default();
        if let Some((_, list)) = self.look("no_proxy")? {
            exceptions.add(&list);
        }
        Ok(exceptions)
    }

    /// The proxy for `wss`, or for `ws`. The error names the variable.
    ///
    /// The order is that of Python's `websockets`, with curl's `all_proxy`: it takes the place of
    /// the SOCKS variable if it is a SOCKS proxy, and is the fallback otherwise.
    pub(crate) fn proxy(&self, is_secure: bool) -> Result<Option<Hop>, String> {
        let own: &[_] = if is_secure { &["wss_proxy"] } else { &["ws_proxy"] };
        if let Some(hop) = self.first(own)? {
            return Ok(Some(hop));
        }
        if let Some((name, url)) = self.look("socks_proxy")? {
            let url = url.trim();
            let url = url.strip_prefix("http://").unwrap_or(url);
            return Hop::parse_by_default("socks5h", url)
                .map(Some)
                .map_err(|why| told(&name, &why));
        }
        if let Some(hop) = self.first(&["all_proxy"])?.filter(|hop| hop.scheme.is_socks()) {
            return Ok(Some(hop));
        }
        let others: &[_] = match is_secure {
            true => &["https_proxy", "all_proxy"],
            false => &["https_proxy", "http_proxy", "all_proxy"],
        };
        self.first(others)
    }

    fn first(&self, names: &[&str]) -> Result<Option<Hop>, String> {
        for name in names {
            if let Some((name, url)) = self.look(name)? {
                return Hop::parse(&url).map(Some).map_err(|why| told(&name, &why));
            }
        }
        Ok(None)
    }

    /// A variable by its name in lower case, or else in upper case. An empty one counts as unset,
    /// and hides the one in upper case.
    fn look(&self, name: &str) -> Result<Option<(String, String)>, String> {
        let upper = name.to_ascii_uppercase();
        // In a CGI program this is a request header ("httpoxy"). Variables have no case on Windows.
        let is_clients = name == "http_proxy" && (self.0)("REQUEST_METHOD").is_some();
        let spelt = [name.to_owned(), upper];
        let spelt = match is_clients {
            true if cfg!(windows) => &[],
            true => &spelt[..1],
            false => &spelt[..],
        };
        for name in spelt {
            if let Some(value) = (self.0)(name) {
                let value = value.into_string().map_err(|_| told(name, "it is not UTF-8"))?;
                return Ok(
                    Some((name.clone(), value)).filter(|(_, value)| !value.trim().is_empty())
                );
            }
        }
        Ok(None)
    }
}

fn told(name: &str, why: &str) -> String {
    format!("the environment variable {name}: {why}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn proxy(variables: &[(&str, &str)], is_secure: bool) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Environment(variable).proxy(is_secure).map(|hop| hop.map(|hop| hop.to_string()))
    }

    fn both(variables: &[(&str, &str)]) -> [Option<String>; 2] {
        [true, false].map(|is_secure| proxy(variables, is_secure).unwrap())
    }

    fn some(url: &str) -> Option<String> {
        Some(url.to_owned())
    }

    #[test]
    fn the_variable_that_is_most_about_it_counts() {
        let all = [
            ("wss_proxy", "a:1"),
            ("ws_proxy", "b:1"),
            ("socks_proxy", "c:1"),
            ("all_proxy", "socks5://d:1"),
            ("https_proxy", "e:1"),
            ("http_proxy", "f:1"),
        ];
        assert_eq!(both(&all), [some("http://a:1"), some("http://b:1")]);
        assert_eq!(both(&all[2..]), [some("socks5h://c:1"), some("socks5h://c:1")]);
        assert_eq!(both(&all[3..]), [some("socks5://d:1"), some("socks5://d:1")]);
        assert_eq!(both(&all[4..]), [some("http://e:1"), some("http://e:1")]);
        assert_eq!(both(&all[5..]), [None, some("http://f:1")]);
        assert_eq!(both(&[]), [None, None]);
        let both_http = [("all_proxy", "http://a:1"), ("https_proxy", "http://b:1")];
        assert_eq!(both(&both_http), [some("http://b:1"), some("http://b:1")]);
        assert_eq!(both(&both_http[..1]), [some("http://a:1"), some("http://a:1")]);
    }

    #[test]
    fn what_is_called_socks_is_socks() {
        for url in ["http://a:1", "a:1", "socks5h://a:1", "socks://a:1"] {
            assert_eq!(proxy(&[("socks_proxy", url)], true), Ok(some("socks5h://a:1")), "{url}");
        }
    }

    #[test]
    fn lower_case_counts_before_upper_case_and_an_empty_one_is_none() {
        assert_eq!(proxy(&[("WSS_PROXY", "b:1")], true), Ok(some("http://b:1")));
        let two = [("WSS_PROXY", "b:1"), ("wss_proxy", "a:1")];
        assert_eq!(proxy(&two, true), Ok(some("http://a:1")));
        assert_eq!(proxy(&[("WSS_PROXY", "b:1"), ("wss_proxy", " ")], true), Ok(None));
        let next = [("wss_proxy", ""), ("https_proxy", "c:1")];
        assert_eq!(proxy(&next, true), Ok(some("http://c:1")));
    }

    #[test]
    fn a_cgi_program_does_not_take_its_client_for_its_proxy() {
        let cgi = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "evil:1")];
        assert_eq!(proxy(&cgi, false), Ok(None));
        assert_eq!(proxy(&cgi[1..], false), Ok(some("http://evil:1")));
    }

    #[test]
    fn what_is_malformed_is_told_with_its_name_and_without_its_password() {
        for (name, url) in [
            ("wss_proxy", "ftp://user:secret@a"),
            ("ALL_PROXY", "socks4://user:secret@a"),
            ("https_proxy", "http://user:secret@a:99999"),
            ("socks_proxy", "http://user:secret@a b"),
        ] {
            let error = proxy(&[(name, url)], true).unwrap_err();
            assert!(error.contains(name) && !error.contains("secret"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_utf8_is_told() {
        use std::os::unix::ffi::OsStringExt as _;
        let variable =
            |name: &str| (name == "no_proxy").then(|| OsString::from_vec(vec![b'a', 0xff]));
        let error = Environment(variable).exceptions().unwrap_err();
        assert_eq!(error, "the environment variable no_proxy: it is not UTF-8");
    }
}
