//! The hosts to connect to without a proxy: `no_proxy`.

use std::net::{IpAddr, SocketAddr};

/// A list of hosts, as in `no_proxy`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exceptions(Vec<Exception>);

#[derive(Debug, Clone)]
struct Exception {
    hosts: Hosts,
    /// `None` means any port.
    port: Option<u16>,
}

#[derive(Debug, Clone)]
enum Hosts {
    All,
    /// The name and all its subdomains, in lower case.
    Name(String),
    /// The addresses that share this many leading bits with this one.
    Network(IpAddr, u32),
}

impl Exceptions {
    /// Adds the entries of a list, separated by commas or white space. An invalid entry matches no
    /// host.
    pub(crate) fn add(&mut self, list: &str) {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace());
        self.0.extend(entries.filter(|entry| !entry.is_empty()).map(Exception::parse));
    }

    /// Whether this host is in the list: a name in lower case, or an address without brackets.
    pub(crate) fn contain(&self, host: &str, port: u16) -> bool {
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        self.0.iter().any(|exception| {
            exception.port.is_none_or(|own| own == port) && exception.hosts.contain(host, address)
        })
    }
}

impl Exception {
    fn parse(entry: &str) -> Self {
        if let Some(hosts) = Hosts::network(entry) {
            return Self { hosts, port: None };
        }
        if let Ok(address) = entry.parse::<SocketAddr>() {
            let hosts = Hosts::of_address(address.ip());
            return Self { hosts, port: Some(address.port()) };
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => (name, port.parse().ok()),
            _ => (entry, None),
        };
        if name == "*" {
            return Self { hosts: Hosts::All, port };
        }
        let name = name.strip_prefix('*').unwrap_or(name);
        let name = name.trim_start_matches('.').trim_end_matches('.').to_ascii_lowercase();
        Self { hosts: Hosts::Name(name), port }
    }
}

impl Hosts {
    /// An address, in brackets or not, or a network.
    fn network(entry: &str) -> Option<Self> {
        let (address, prefix) = match entry.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
            None => (entry, None),
        };
        let inner = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        let address: IpAddr = inner.unwrap_or(address).parse().ok()?;
        match prefix {
            None => Some(Self::of_address(address)),
            Some(prefix) if prefix <= bits(address) => Some(Self::Network(address, prefix)),
            Some(_) => None,
        }
    }

    fn of_address(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self::Network(address, bits(address))
    }

    fn contain(&self, host: &str, address: Option<IpAddr>) -> bool {
        match self {
            Self::All => true,
            // Addresses have no subdomains.
            Self::Name(_) if address.is_some() => false,
            Self::Name(name) => {
                // A name is the same with and without the dot of the root.
                let host = host.strip_suffix('.').unwrap_or(host);
                let before = host.strip_suffix(name.as_str());
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
                    && !name.is_empty()
            }
            Self::Network(base, prefix) => address.is_some_and(|address| {
                same_bits(*base, address).is_some_and(|same| same >= *prefix)
            }),
        }
    }
}

fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The number of leading bits that are equal.
fn same_bits(one: IpAddr, other: IpAddr) -> Option<u32> {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            Some((one.to_bits() ^ other.to_bits()).leading_zeros())
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            Some((one.to_bits() ^ other.to_bits()).leading_zeros())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contain(list: &str, host: &str) -> bool {
        let mut exceptions = Exceptions::default();
        exceptions.add(list);
        exceptions.contain(host, 443)
    }

    #[test]
    fn a_name_stands_for_itself_and_for_what_is_below_it() {
        for entry in
            ["example.com", ".example.com", "*.example.com", "Example.COM.", "example.com:443"]
        {
            for host in ["example.com", "www.example.com", "a.b.example.com", "example.com."] {
                assert!(contain(entry, host), "{entry} {host}");
            }
            for host in ["notexample.com", "example.com.evil", "com", "10.0.0.1"] {
                assert!(!contain(entry, host), "{entry} {host}");
            }
        }
        assert!(!contain("example.com:80", "example.com"));
    }

    #[test]
    fn addresses_and_networks_are_compared_as_such() {
        for (entry, inside, outside) in [
            ("10.0.0.0/8", "10.200.0.1", "11.0.0.1"),
            // Bits after the prefix are ignored.
            ("192.168.1.1/24", "192.168.1.200", "192.168.2.1"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            // The end of an address is not a subdomain.
            (".0.0.2,127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("127.0.0.1:443", "127.0.0.1", "127.0.0.2"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("[::1]", "::1", "::2"),
            ("::1", "::1", "::2"),
            ("[::1]:443", "::1", "::2"),
            ("10.0.0.1", "::ffff:10.0.0.1", "::ffff:10.0.0.2"),
            ("0.0.0.0/0", "1.2.3.4", "::1"),
        ] {
            assert!(contain(entry, inside), "{entry}");
            assert!(!contain(entry, outside), "{entry}");
        }
        assert!(!contain("127.0.0.1:80,[::1]:80", "127.0.0.1"));
    }

    #[test]
    fn a_star_is_all_and_nonsense_is_nothing() {
        assert!(contain("*", "example.com") && contain("a, *", "::1") && contain("a *", "b"));
        for list in ["", ",, ,", "10.0.0.0/33", "10.0.0.0/x", "http://example.com", ".", "*.", ":"]
        {
            assert!(!contain(list, "example.com") && !contain(list, "10.0.0.1"), "{list}");
        }
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(list in r"[\[\]:/,.*0-9a-f ]{0,30}|\PC{0,30}", host in r"[:.0-9a-f]{0,10}") {
            contain(&list, &host);
        }
    }
}
