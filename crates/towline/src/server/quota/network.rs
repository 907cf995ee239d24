//! The part of an address that counts as one client.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many bits of an address name a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefixes {
    v4: u8,
    v6: u8,
}

impl Prefixes {
    pub(crate) fn new(v4: u8, v6: u8) -> Self {
        Self { v4: v4.min(32), v6: v6.min(128) }
    }
}

/// An IPv4 address, and the network that a provider gives to one IPv6 customer at least.
impl Default for Prefixes {
    fn default() -> Self {
        Self { v4: 32, v6: 64 }
    }
}

/// A network whose addresses count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    pub(crate) fn of(address: IpAddr, prefixes: Prefixes) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefixes.v4)).unwrap_or(0);
                let base = Ipv4Addr::from_bits(address.to_bits() & mask);
                Self { base: base.into(), prefix: prefixes.v4 }
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefixes.v6)).unwrap_or(0);
                let base = Ipv6Addr::from_bits(address.to_bits() & mask);
                Self { base: base.into(), prefix: prefixes.v6 }
            }
        }
    }
}

/// `192.0.2.1`, or `2001:db8::/64`
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.base.is_ipv4() { 32 } else { 128 };
        if self.prefix == all {
            return self.base.fmt(f);
        }
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_with_its_network() {
        let of = |address: &str, v4, v6| {
            Network::of(address.parse().unwrap(), Prefixes::new(v4, v6)).to_string()
        };
        assert_eq!(of("192.0.2.77", 32, 64), "192.0.2.77");
        assert_eq!(of("::ffff:192.0.2.77", 32, 64), "192.0.2.77");
        assert_eq!(of("192.0.2.77", 24, 64), "192.0.2.0/24");
        assert_eq!(of("192.0.2.77", 0, 64), "0.0.0.0/0");
        assert_eq!(of("2001:db8:1:2:3:4:5:6", 32, 64), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2:3:4:5:6", 32, 200), "2001:db8:1:2:3:4:5:6");
        assert_eq!(of("2001:db8:1:2:3:4:5:6", 32, 0), "::/0");
    }
}
