//! What a peer did wrong, in the words that programs on WebSocket-Node know.

use towline_proto::{CloseCode, CloseFrame, Fault, LimitExceeded, MalformedClose, Violation};

/// The description of a fault: it goes into the close frame, and to the program.
pub(crate) fn describe(fault: Fault) -> String {
    match fault {
        Fault::Violation(violation) => of_violation(violation),
        Fault::LimitExceeded(limit) => of_limit(limit),
        other => other.to_string(),
    }
}

fn of_violation(violation: Violation) -> String {
    match violation {
        Violation::ReservedOpcode(bits) => format!("Unrecognized Opcode: 0x{bits:x}"),
        Violation::ReservedBits(_) => {
            "Unsupported usage of rsv bits without negotiated extension.".into()
        }
        Violation::LengthTooLarge(_) => "Unsupported 64-bit length frame received".into(),
        Violation::FragmentedControl(_) => "Control frames must not be fragmented.".into(),
        Violation::ControlTooLong(..) => "Illegal control frame longer than 125 bytes.".into(),
        Violation::UnexpectedContinuation => "Unexpected Continuation Frame".into(),
        Violation::ExpectedContinuation(opcode) => format!(
            "Illegal frame opcode 0x{:x} received in middle of fragmented message.",
            opcode.bits()
        ),
        Violation::InvalidUtf8 | Violation::MalformedClose(MalformedClose::ReasonNotUtf8) => {
            "Invalid UTF-8 Data Received".into()
        }
        other => other.to_string(),
    }
}

fn of_limit(limit: LimitExceeded) -> String {
    match limit {
        LimitExceeded::Frame { size, .. } => {
            format!("Frame size of {size} bytes exceeds maximum accepted frame size")
        }
        LimitExceeded::Message { .. } => "Maximum message size exceeded.".into(),
        LimitExceeded::Fragments { .. } => "Maximum number of fragments exceeded.".into(),
        LimitExceeded::ControlRate { .. } => "Too many control frames.".into(),
        other => other.to_string(),
    }
}

/// A close frame of what a program gave: a reason that is too long is cut at a character, and a
/// code that must not be sent is left out with its reason.
pub(crate) fn close_frame(code: u32, reason: &str) -> CloseFrame {
    let longest = towline_proto::wire::close::MAX_REASON;
    let code = CloseCode::new(u16::try_from(code).unwrap_or(0));
    let mut end = longest.min(reason.len());
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = &reason[..end];
    CloseFrame::new(code, reason).unwrap_or(CloseFrame::EMPTY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use towline_proto::Opcode;

    #[test]
    fn opcodes_are_named_by_their_number() {
        let fault = Fault::from(Violation::ExpectedContinuation(Opcode::Text));
        assert!(describe(fault).starts_with("Illegal frame opcode 0x1 "));
        assert_eq!(describe(Violation::ReservedOpcode(0xb).into()), "Unrecognized Opcode: 0xb");
    }

    #[test]
    fn a_reason_is_cut_to_what_fits() {
        let frame = close_frame(1000, &"é".repeat(80));
        assert_eq!(frame.reason(), "é".repeat(61));
        assert_eq!(close_frame(1006, "gone"), CloseFrame::EMPTY);
    }
}
