//! `Sec-WebSocket-Version`.

use std::fmt;

use http::{HeaderName, header};

use crate::handshake::header::SEC_WEBSOCKET_ORIGIN;

/// The supported versions of the protocol.
///
/// Both have the same framing. Version 8 differs only in the name of the header that carries the
/// origin. The default is [`Version::Rfc6455`].
///
/// ```
/// use towline_proto::handshake::{Connect, Version};
///
/// let connect = Connect::new().version(Version::Draft8);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[doc(alias("webSocketVersion", "websocketVersion"))]
#[non_exhaustive]
pub enum Version {
    /// 8: the drafts hybi-08 to hybi-12.
    Draft8,
    /// 13: RFC 6455.
    #[default]
    Rfc6455,
}

impl Version {
    /// Returns this version and later ones as the value of a `Sec-WebSocket-Version` header, newest
    /// first.
    pub(crate) const fn and_later(self) -> &'static str {
        match self {
            Self::Draft8 => "13, 8",
            Self::Rfc6455 => "13",
        }
    }

    /// Returns the number in the `Sec-WebSocket-Version` header: 8 or 13.
    pub const fn number(self) -> u8 {
        match self {
            Self::Draft8 => 8,
            Self::Rfc6455 => 13,
        }
    }

    /// Returns the version with this number, if it is supported.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            8 => Some(Self::Draft8),
            13 => Some(Self::Rfc6455),
            _ => None,
        }
    }

    /// Returns the value of the header.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Draft8 => "8",
            Self::Rfc6455 => "13",
        }
    }

    /// Parses the value of a header: digits without leading zeros (RFC 6455, section 4.3).
    pub(crate) fn parse(value: &str) -> Option<Self> {
        [Self::Rfc6455, Self::Draft8].into_iter().find(|version| version.as_str() == value)
    }

    /// Returns the header in which a client of this version sends its origin.
    pub(crate) fn origin_header(self) -> HeaderName {
        match self {
            Self::Draft8 => SEC_WEBSOCKET_ORIGIN.clone(),
            Self::Rfc6455 => header::ORIGIN,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spellings_agree() {
        for version in [Version::Draft8, Version::Rfc6455] {
            assert_eq!(version.to_string(), version.number().to_string());
            assert_eq!(Version::from_number(version.number()), Some(version));
            assert_eq!(Version::parse(version.as_str()), Some(version));
            assert!(version.and_later().split(", ").any(|number| number == version.as_str()));
        }
    }

    #[test]
    fn only_exact_numbers_are_versions() {
        for other in ["", "7", "013", "+13", "13.0", "13, 8", "255", "256", "99999999999"] {
            assert_eq!(Version::parse(other), None, "{other}");
        }
        assert_eq!(Version::from_number(0), None);
    }
}
