//! `--host`: the names by which browsers may ask for this server.
//!
//! A page of `evil.example` can have its name lead to this machine (DNS rebinding). To the browser, the
//! page and this server then have the same origin. What gives it away is the name in `Host`, which a page
//! can't change.

use std::net::IpAddr;

use http::StatusCode;
use http::header::HOST;
use towline::{Error, Request};

/// The names that are no attacker's.
#[derive(Debug)]
pub(crate) struct Hosts {
    is_any: bool,
    /// In lower case. One that begins with a dot stands for the names below it.
    names: Vec<String>,
    /// Whether `--origin` says which pages may connect.
    has_origins: bool,
}

impl Hosts {
    /// Knows the hosts of `--host`, and those in the values of `--origin` and `--listen`.
    pub(crate) fn new(hosts: &[String], origins: &[String], listen: &[String]) -> Self {
        let of_origins = origins.iter().filter_map(|origin| Some(origin.split_once("://")?.1));
        let all = hosts.iter().map(String::as_str).chain(of_origins);
        let all = all.chain(listen.iter().map(String::as_str));
        let names = all.map(|host| {
            let name = name(host).to_ascii_lowercase();
            name.strip_prefix('*').map_or(name.clone(), str::to_owned)
        });
        Self {
            is_any: hosts.iter().any(|host| host == "any"),
            names: names.collect(),
            has_origins: !origins.is_empty(),
        }
    }

    /// Whether a browser that asks for this host (`host[:port]`) has an address, a name for this
    /// machine, or one of the names.
    pub(crate) fn knows(&self, host: &str) -> bool {
        let name = name(host);
        self.is_any || address(name).is_some() || is_localhost(name) || self.has(name)
    }

    fn has(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        !name.is_empty()
            && self.names.iter().any(|known| match known.starts_with('.') {
                true => name.len() > known.len() && name.ends_with(known.as_str()),
                false => known == name,
            })
    }

    /// Whether a handshake is from a program, or from a page that can't be of a rebound name.
    pub(crate) fn admits(&self, request: &Request) -> bool {
        self.has_origins || request.origin().is_none() || self.knows(request.host())
    }
}

/// Why a request for this host is refused.
pub(crate) fn refusal(host: Option<&str>) -> String {
    let host = host.map_or("none", name);
    format!(
        "this server is not known by the name {host}, which can be that of another site (DNS \
         rebinding): its operator can allow it (--host)"
    )
}

/// Refuses a handshake that is not admitted.
pub(crate) async fn refuse(request: Request) -> Result<(), Error> {
    let why = refusal(Some(request.host()));
    request.reject(StatusCode::FORBIDDEN, why).await
}

/// A value of `--host`.
pub(crate) fn read(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_valid) {
        true => Ok(text.strip_suffix('.').unwrap_or(text).to_owned()),
        false => Err("write a name without a port, such as app.example or *.app.example".into()),
    }
}

/// The host that is asked, with its port. HTTP/2 has it in the URI.
pub(crate) fn asked<B>(request: &http::Request<B>) -> Option<&str> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str());
    }
    let mut hosts = request.headers().get_all(HOST).into_iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    }
}

/// Whether this host (`host[:port]`) is a loopback address or `localhost`.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let name = name(host);
    address(name).map_or_else(|| is_localhost(name), |address| address.is_loopback())
}

/// The host without its port.
fn name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

fn address(name: &str) -> Option<IpAddr> {
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let address = inner.unwrap_or(name).parse::<IpAddr>().ok();
    address.map(|address| address.to_canonical())
}

fn is_localhost(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(hosts: &[&str], origins: &[&str], listen: &[&str]) -> Hosts {
        let [hosts, origins, listen] = [hosts, origins, listen]
            .map(|list| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        Hosts::new(&hosts, &origins, &listen)
    }

    #[test]
    fn addresses_and_names_of_this_machine_are_known() {
        let hosts = hosts(&[], &[], &["127.0.0.1:9001"]);
        for host in [
            "127.0.0.1:9001",
            "192.0.2.1",
            "[::1]:9001",
            "[2001:db8::1]",
            "localhost:80",
            "LocalHost",
            "app.localhost:9001",
        ] {
            assert!(hosts.knows(host), "{host}");
        }
        for host in [
            "evil.example:9001",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "1.example:80",
            "",
            ":9001",
            ".",
        ] {
            assert!(!hosts.knows(host), "{host}");
        }
    }

    #[test]
    fn names_that_options_have_are_known() {
        let hosts = hosts(
            &["App.example", "*.lan.example"],
            &["https://site.example:8443", "https://*.pages.example"],
            &["ship.example:80"],
        );
        for host in [
            "app.example:9001",
            "APP.EXAMPLE",
            "app.example.",
            "a.b.lan.example",
            "site.example",
            "x.pages.example:1",
            "ship.example:80",
        ] {
            assert!(hosts.knows(host), "{host}");
        }
        for host in ["x.app.example", "lan.example", "evillan.example", ".lan.example", "example"] {
            assert!(!hosts.knows(host), "{host}");
        }
        assert!(self::hosts(&["any"], &[], &[]).knows("evil.example"));
        assert!(!self::hosts(&[], &["any"], &[]).knows("evil.example"));
    }

    #[test]
    fn a_name_is_written_without_a_port() {
        assert_eq!(read("app.example.").as_deref(), Ok("app.example"));
        assert_eq!(read("*.app.example").as_deref(), Ok("*.app.example"));
        for text in ["", "*", "*.", ".app", "a:80", "http://a", "a/b", "*.*.a", "[::1]"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
