//! The code and the reason in a close frame.

use std::fmt;

use bytestring::ByteString;

use crate::wire::opcode::MAX_CONTROL_PAYLOAD;

/// The code for closing a connection ([RFC 6455, section 7.4]).
///
/// Holds any number; [`is_sendable`](Self::is_sendable) tells whether it is allowed in a close
/// frame.
///
/// ```
/// use towline_proto::CloseCode;
///
/// assert_eq!(CloseCode::NORMAL.get(), 1000);
/// assert!(CloseCode::new(4001).is_sendable());
/// assert!(!CloseCode::ABNORMAL.is_sendable());
/// assert_eq!(CloseCode::POLICY.to_string(), "1008 (policy violation)");
/// ```
///
/// [RFC 6455, section 7.4]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection has been fulfilled.
    #[doc(alias = "CLOSE_REASON_NORMAL")]
    pub const NORMAL: Self = Self(1000);
    /// 1001: the end is going away, such as a server that shuts down or a browser that leaves the
    /// page.
    #[doc(alias = "CLOSE_REASON_GOING_AWAY")]
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    #[doc(alias = "CLOSE_REASON_PROTOCOL_ERROR")]
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: the end does not accept this type of data, such as binary.
    #[doc(alias = "CLOSE_REASON_UNPROCESSABLE_INPUT")]
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1004: reserved, without a meaning. Never on the wire.
    #[doc(alias = "CLOSE_REASON_RESERVED")]
    pub const RESERVED: Self = Self(1004);
    /// 1005: a close frame without a code was received. Never on the wire.
    #[doc(alias = "CLOSE_REASON_NOT_PROVIDED")]
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a close frame. Never on the wire.
    #[doc(alias = "CLOSE_REASON_ABNORMAL")]
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: the data does not match its type, such as text that is not UTF-8.
    #[doc(alias = "CLOSE_REASON_INVALID_DATA")]
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a policy of the end was violated; also the generic code.
    #[doc(alias = "CLOSE_REASON_POLICY_VIOLATION")]
    pub const POLICY: Self = Self(1008);
    /// 1009: the message is too large for the end.
    #[doc(alias = "CLOSE_REASON_MESSAGE_TOO_BIG")]
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client requires an extension that the server did not accept.
    #[doc(alias = "CLOSE_REASON_EXTENSION_REQUIRED")]
    pub const EXTENSION_REQUIRED: Self = Self(1010);
    /// 1011: the end met an unexpected condition.
    #[doc(alias = "CLOSE_REASON_INTERNAL_SERVER_ERROR")]
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts; reconnect later.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the service is overloaded; try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway received an invalid response from upstream.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never on the wire.
    #[doc(alias = "CLOSE_REASON_TLS_HANDSHAKE_FAILED")]
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Creates a code from its number.
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// Returns the number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns the code to count this one by: itself for 1000 to 1015, 3000 for 3000 to 3999, 4000 for
    /// 4000 to 4999, and 0 for all others, which no standard defines. Peers can choose a code, so a
    /// program that keeps a count, a metric or a map by code needs few of them.
    ///
    /// ```
    /// use towline_proto::CloseCode;
    ///
    /// assert_eq!(CloseCode::GOING_AWAY.class(), CloseCode::GOING_AWAY);
    /// assert_eq!(CloseCode::new(4321).class(), CloseCode::new(4000));
    /// ```
    #[must_use]
    pub const fn class(self) -> Self {
        Self(match self.0 {
            code @ 1000..=1015 => code,
            3000..=3999 => 3000,
            4000..=4999 => 4000,
            _ => 0,
        })
    }

    /// Returns whether this code is allowed in a close frame.
    ///
    /// Allowed are the codes that RFC 6455 and the IANA registry define for the wire (1000 to 1003,
    /// 1007 to 1014), those of libraries and frameworks (3000 to 3999), and those of applications
    /// (4000 to 4999). Not allowed are the reserved 1004, and 1005, 1006 and 1015, which "MUST NOT
    /// be set as a status code in a Close control frame".
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// Returns the meaning of the code, or `None` if no specification defines it.
    pub const fn description(self) -> Option<&'static str> {
        Some(match self.0 {
            1000 => "normal closure",
            1001 => "going away",
            1002 => "protocol error",
            1003 => "unsupported data",
            1004 => "reserved",
            1005 => "no status received",
            1006 => "abnormal closure",
            1007 => "invalid data",
            1008 => "policy violation",
            1009 => "message too big",
            1010 => "extension required",
            1011 => "internal error",
            1012 => "service restart",
            1013 => "try again later",
            1014 => "bad gateway",
            1015 => "TLS handshake failed",
            _ => return None,
        })
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.description() {
            Some(words) => write!(f, "{} ({words})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The longest reason that fits in a close frame with its code, in bytes of UTF-8.
pub const MAX_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

/// The content of a close frame: a code and a reason ([RFC 6455, section 5.5.1]).
///
/// A close frame may be empty: that is [`CloseFrame::EMPTY`], whose code is
/// [`CloseCode::NO_STATUS`].
///
/// [RFC 6455, section 5.5.1]: https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
///
/// ```
/// use towline_proto::{CloseCode, CloseFrame};
///
/// let frame = CloseFrame::new(CloseCode::NORMAL, "bye").unwrap();
/// assert_eq!(frame.encode(), b"\x03\xe8bye");
/// assert_eq!(CloseFrame::decode(b"\x03\xe8bye"), Ok(frame));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    code: CloseCode,
    reason: ByteString,
}

/// The error for a code or reason that is not allowed in a close frame.
///
/// [`CloseFrame`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidClose {
    /// The code must not be sent, see [`CloseCode::is_sendable`].
    Code(CloseCode),
    /// The reason has this many bytes, which is more than [`MAX_REASON`].
    ReasonTooLong(usize),
}

impl fmt::Display for InvalidClose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(
                f,
                "close code {code} must not be sent: use 1000 to 1003, 1007 to 1014, or 3000 to 4999"
            ),
            Self::ReasonTooLong(len) => {
                write!(
                    f,
                    "close reason of {len} bytes: at most {MAX_REASON} fit into a close frame"
                )
            }
        }
    }
}

impl std::error::Error for InvalidClose {}

/// The error for an invalid payload of a close frame.
///
/// [`CloseFrame`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedClose {
    /// The payload is one byte; a code takes two.
    OneByte,
    /// The code must not be sent.
    Code(CloseCode),
    /// The reason is not UTF-8.
    ReasonNotUtf8,
}

impl fmt::Display for MalformedClose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneByte => f.write_str("Close frame with one byte of payload"),
            Self::Code(code) => {
                write!(f, "Close frame with the code {code}, which must not be sent")
            }
            Self::ReasonNotUtf8 => f.write_str("Close frame with a reason that is not valid UTF-8"),
        }
    }
}

impl std::error::Error for MalformedClose {}

impl CloseFrame {
    /// An empty close frame, without code and reason.
    pub const EMPTY: Self =
        Self { code: CloseCode::NO_STATUS, reason: ByteString::from_static("") };

    /// Creates a close frame with this code and reason. The reason may be empty.
    ///
    /// # Errors
    ///
    /// [`InvalidClose`] for a code that must not be sent and for a reason of more than
    /// [`MAX_REASON`] bytes.
    pub fn new(code: CloseCode, reason: impl Into<ByteString>) -> Result<Self, InvalidClose> {
        let reason = reason.into();
        if !code.is_sendable() {
            return Err(InvalidClose::Code(code));
        }
        if reason.len() > MAX_REASON {
            return Err(InvalidClose::ReasonTooLong(reason.len()));
        }
        Ok(Self { code, reason })
    }

    /// Creates a close frame of this library: the code is known to be sendable, and a reason that
    /// is too long is cut at a character boundary.
    pub(crate) fn of(code: CloseCode, reason: &str) -> Self {
        debug_assert!(code.is_sendable());
        let mut end = reason.len().min(MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self { code, reason: ByteString::from(&reason[..end]) }
    }

    /// Returns the code.
    pub fn code(&self) -> CloseCode {
        self.code
    }

    /// Returns the reason, often empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Parses the payload of a close frame.
    ///
    /// # Errors
    ///
    /// [`MalformedClose`] if it violates RFC 6455, sections 5.5.1 and 7.4.
    pub fn decode(payload: &[u8]) -> Result<Self, MalformedClose> {
        let (code, reason) = match payload {
            [] => return Ok(Self::EMPTY),
            [_] => return Err(MalformedClose::OneByte),
            [high, low, reason @ ..] => (CloseCode(u16::from_be_bytes([*high, *low])), reason),
        };
        if !code.is_sendable() {
            return Err(MalformedClose::Code(code));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| MalformedClose::ReasonNotUtf8)?;
        Ok(Self { code, reason: reason.into() })
    }

    /// Returns the payload on the wire.
    pub fn encode(&self) -> Vec<u8> {
        if *self == Self::EMPTY {
            return Vec::new();
        }
        let mut payload = Vec::with_capacity(2 + self.reason.len());
        payload.extend_from_slice(&self.code.0.to_be_bytes());
        payload.extend_from_slice(self.reason.as_bytes());
        payload
    }
}

impl fmt::Display for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.reason.is_empty() {
            // The reason comes from the peer; escape it to keep log lines intact.
            let reason: &str = &self.reason;
            write!(f, " {reason:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_reason_is_shown_on_one_line_and_as_it_is_otherwise() {
        let frame = CloseFrame::new(CloseCode::NORMAL, "can't\nsay \"no\"").unwrap();
        assert!(frame.to_string().ends_with(r#" "can't\nsay \"no\"""#), "{frame}");
    }

    #[test]
    fn no_peer_can_make_many_classes_of_codes() {
        let codes = || (0..=u16::MAX).map(CloseCode::new);
        let classes: std::collections::BTreeSet<_> = codes().map(CloseCode::class).collect();
        assert_eq!(classes.len(), 16 + 3);
        assert!(codes().all(|code| code.class().class() == code.class()));
        assert_eq!(CloseCode::new(3999).class().get(), 3000);
        assert_eq!(CloseCode::new(4321).class().get(), 4000);
        assert_eq!(CloseCode::new(5000).class().get(), 0);
        assert_eq!(CloseCode::GOING_AWAY.class(), CloseCode::GOING_AWAY);
    }

    #[test]
    fn only_codes_for_the_wire_are_sendable() {
        let sendable: Vec<u16> =
            (0..=u16::MAX).filter(|code| CloseCode(*code).is_sendable()).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(sendable, expected);
    }

    #[test]
    fn a_payload_reads_back_as_it_was_written() {
        let frame = CloseFrame::new(CloseCode::GOING_AWAY, "bis später").unwrap();
        assert_eq!(CloseFrame::decode(&frame.encode()), Ok(frame));
        assert_eq!(CloseFrame::decode(&CloseFrame::EMPTY.encode()), Ok(CloseFrame::EMPTY));
        assert_eq!(CloseFrame::EMPTY.encode(), []);
    }

    #[test]
    fn a_malformed_payload_is_refused() {
        assert_eq!(CloseFrame::decode(&[3]), Err(MalformedClose::OneByte));
        assert_eq!(
            CloseFrame::decode(&[0x03, 0xED]),
            Err(MalformedClose::Code(CloseCode::NO_STATUS))
        );
        assert_eq!(CloseFrame::decode(&[0x03, 0xE8, 0xFF]), Err(MalformedClose::ReasonNotUtf8));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_its_value() {
        let error = CloseFrame::new(CloseCode::ABNORMAL, "").unwrap_err();
        assert!(error.to_string().contains("1006"), "{error}");
        let error = CloseFrame::new(CloseCode::NORMAL, "x".repeat(124)).unwrap_err();
        assert_eq!(error, InvalidClose::ReasonTooLong(124));
        assert!(CloseFrame::new(CloseCode::NORMAL, "x".repeat(123)).is_ok());
    }

    #[test]
    fn a_reason_is_shown_on_one_line() {
        let frame = CloseFrame::new(CloseCode::new(4000), "a\nb").unwrap();
        assert_eq!(frame.to_string(), r#"4000 "a\nb""#);
    }
}
