//! Errors of the peer, each with its close code.

use std::fmt;
use std::time::Duration;

use crate::text::InvalidUtf8;
use crate::wire::close::{CloseCode, MalformedClose};
use crate::wire::header::{Malformed, Rsv};
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};

/// An error of the peer that ends the connection.
///
/// The message names the error and the value. It is also the reason in the close frame sent to the
/// peer.
///
/// ```
/// use towline_proto::{CloseCode, Fault, Violation};
///
/// let fault = Fault::from(Violation::InvalidUtf8);
/// assert_eq!(fault.close_code(), CloseCode::INVALID_DATA);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The peer violated the protocol.
    Violation(Violation),
    /// The peer exceeded a limit of this end.
    LimitExceeded(LimitExceeded),
}

impl Fault {
    /// Returns the code that the connection is closed with.
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::Violation(violation) => violation.close_code(),
            Self::LimitExceeded(limit) => limit.close_code(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(violation) => violation.fmt(f),
            Self::LimitExceeded(limit) => limit.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}

/// A violation of the protocol ([RFC 6455]).
///
/// [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
///
/// [`Fault`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A reserved opcode (section 5.2).
    ReservedOpcode(u8),
    /// A reserved bit to which no extension gives a meaning (section 5.2). With compression, RSV1
    /// is allowed in the first frame of a message only (RFC 7692, section 6).
    ReservedBits(Rsv),
    /// A length encoded in more bytes than needed (section 5.2).
    NonMinimalLength(u64),
    /// A length of 2^63 or more (section 5.2).
    LengthTooLarge(u64),
    /// An unmasked frame from a client (section 5.1).
    Unmasked,
    /// A masked frame from a server (section 5.1).
    Masked,
    /// A fragmented control frame (section 5.5).
    FragmentedControl(Opcode),
    /// A control frame with this many bytes of payload; the limit is 125 (section 5.5).
    ControlTooLong(Opcode, u64),
    /// A continuation without a message to continue (section 5.4).
    UnexpectedContinuation,
    /// A new message before the last one ended (section 5.4).
    ExpectedContinuation(Opcode),
    /// Text that is not UTF-8 (section 5.6).
    InvalidUtf8,
    /// A compressed message that is invalid or incomplete (RFC 7692, section 7.2).
    NotInflatable,
    /// A close frame with an invalid payload (sections 5.5.1 and 7.4).
    MalformedClose(MalformedClose),
}

impl Violation {
    /// Returns the code that the connection is closed with: 1007 for data that is not UTF-8 or
    /// cannot be inflated, otherwise 1002.
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::InvalidUtf8
            | Self::NotInflatable
            | Self::MalformedClose(MalformedClose::ReasonNotUtf8) => CloseCode::INVALID_DATA,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedOpcode(bits) => write!(f, "frame with the reserved opcode {bits}"),
            Self::ReservedBits(rsv) => {
                write!(
                    f,
                    "frame with reserved bits {:#05b}, which mean nothing there",
                    rsv.bits() >> 4
                )
            }
            Self::NonMinimalLength(len) => {
                write!(f, "frame with the length {len} in more bytes than it needs")
            }
            Self::LengthTooLarge(len) => write!(f, "frame with a length of 64 bits, {len}"),
            Self::Unmasked => f.write_str("unmasked frame from a client"),
            Self::Masked => f.write_str("masked frame from a server"),
            Self::FragmentedControl(opcode) => write!(f, "fragmented {opcode:?} frame"),
            Self::ControlTooLong(opcode, len) => {
                write!(
                    f,
                    "{opcode:?} frame of {len} bytes: at most {MAX_CONTROL_PAYLOAD} are allowed"
                )
            }
            Self::UnexpectedContinuation => {
                f.write_str("Continuation frame without a message to continue")
            }
            Self::ExpectedContinuation(opcode) => {
                write!(f, "{opcode:?} frame before the last message ended")
            }
            Self::InvalidUtf8 => f.write_str("text message that is not valid UTF-8"),
            Self::NotInflatable => f.write_str("compressed message that can't be inflated"),
            Self::MalformedClose(malformed) => malformed.fmt(f),
        }
    }
}

impl std::error::Error for Violation {}

/// The limit that a peer exceeded.
///
/// [`Fault`] has an example of its use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitExceeded {
    /// A frame larger than `max_received_frame_size`.
    Frame {
        /// The frame's payload, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A message larger than `max_received_message_size`.
    Message {
        /// The message's payload as far as its size is known, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A compressed message whose compressed size is more than twice `max_received_message_size`
    /// plus 64 KiB: it inflates to little or nothing.
    Compressed {
        /// The message's payload as far as its size is known, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A compressed message that inflates to more than `max_received_message_size`.
    Inflated {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A message received in pieces, of more bytes than its reader accepts.
    Streamed {
        /// The limit, in bytes.
        limit: u64,
    },
    /// A message in more frames than `max_received_fragments`.
    Fragments {
        /// The limit, in frames.
        limit: usize,
    },
    /// More control frames in a second than `max_received_control_rate`.
    ControlRate {
        /// The limit, in frames a second.
        limit: u32,
    },
    /// More messages than a server's `max_message_rate` allows.
    MessageRate {
        /// The limit, in messages.
        limit: u64,
        /// The time that the limit is for: a second or a minute.
        per: Duration,
    },
    /// More bytes than a server's `max_byte_rate` allows.
    ByteRate {
        /// The limit, in bytes.
        limit: u64,
        /// The time that the limit is for: a second or a minute.
        per: Duration,
    },
}

impl LimitExceeded {
    /// Returns the code that the connection is closed with: 1009 for sizes, 1008 for rates.
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::ControlRate { .. } | Self::MessageRate { .. } | Self::ByteRate { .. } => {
                CloseCode::POLICY
            }
            _ => CloseCode::MESSAGE_TOO_BIG,
        }
    }
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame { size, limit } => {
                write!(f, "frame of {size} bytes: the limit is {limit} (max_received_frame_size)")
            }
            Self::Message { size, limit } => {
                write!(
                    f,
                    "message of {size} bytes: the limit is {limit} (max_received_message_size)"
                )
            }
            Self::Compressed { size, limit } => {
                write!(
                    f,
                    "compressed message of {size} bytes: the limit is {limit} (twice \
                     max_received_message_size, and 64 KiB)"
                )
            }
            Self::Inflated { limit } => {
                write!(
                    f,
                    "message that inflates to more than {limit} bytes (max_received_message_size)"
                )
            }
            Self::Streamed { limit } => {
                write!(f, "message of more than {limit} bytes (max_size of its reader)")
            }
            Self::Fragments { limit } => {
                write!(f, "message of more than {limit} frames (max_received_fragments)")
            }
            Self::ControlRate { limit } => {
                write!(f, "more than {limit} control frames a second (max_received_control_rate)")
            }
            Self::MessageRate { limit, per } => {
                write!(f, "more than {limit} messages a {} (max_message_rate)", unit(per))
            }
            Self::ByteRate { limit, per } => {
                write!(f, "more than {limit} bytes a {} (max_byte_rate)", unit(per))
            }
        }
    }
}

/// The name of the time that a rate is for.
fn unit(per: &Duration) -> &'static str {
    if *per == Duration::from_secs(60) { "minute" } else { "second" }
}

impl std::error::Error for LimitExceeded {}

impl From<Violation> for Fault {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<LimitExceeded> for Fault {
    fn from(limit: LimitExceeded) -> Self {
        Self::LimitExceeded(limit)
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::Violation(match malformed {
            Malformed::ReservedOpcode(bits) => Violation::ReservedOpcode(bits),
            Malformed::NonMinimalLength(len) => Violation::NonMinimalLength(len),
            Malformed::LengthTooLarge(len) => Violation::LengthTooLarge(len),
        })
    }
}

impl From<MalformedClose> for Fault {
    fn from(malformed: MalformedClose) -> Self {
        Self::Violation(Violation::MalformedClose(malformed))
    }
}

impl From<InvalidUtf8> for Fault {
    fn from(_: InvalidUtf8) -> Self {
        Self::Violation(Violation::InvalidUtf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::close::MAX_REASON;

    #[test]
    fn every_message_fits_into_a_close_frame() {
        let longest = [
            Fault::from(LimitExceeded::Message { size: u64::MAX, limit: usize::MAX }),
            Fault::from(LimitExceeded::Frame { size: u64::MAX, limit: usize::MAX }),
            Fault::from(LimitExceeded::Inflated { limit: usize::MAX }),
            Fault::from(LimitExceeded::Fragments { limit: usize::MAX }),
            Fault::from(LimitExceeded::ControlRate { limit: u32::MAX }),
            Fault::from(LimitExceeded::MessageRate {
                limit: u64::MAX,
                per: Duration::from_secs(60),
            }),
            Fault::from(LimitExceeded::ByteRate { limit: u64::MAX, per: Duration::from_secs(60) }),
            Fault::from(Violation::ControlTooLong(Opcode::Close, u64::MAX)),
            Fault::from(Violation::MalformedClose(MalformedClose::Code(CloseCode::TLS_HANDSHAKE))),
        ];
        for fault in longest {
            let message = fault.to_string();
            assert!(message.len() <= MAX_REASON, "{} bytes: {message}", message.len());
        }
    }

    #[test]
    fn a_message_names_the_value_the_limit_and_the_option() {
        let message = LimitExceeded::Frame { size: 70_000, limit: 65_536 }.to_string();
        for part in ["70000", "65536", "max_received_frame_size"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
