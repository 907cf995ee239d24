//! Frames that a server has to refuse.

use crate::check::doctor::{Doctor, Habit, Trouble};
use crate::check::finding::Finding;
use crate::check::frames::{CLOSE, CONTINUATION, FIN, PING, RSV1, TEXT, close, masked, unmasked};
use crate::check::talk::{End, Reaction};

/// Bytes that no client may send.
struct Wrong {
    check: &'static str,
    /// The subject of a sentence.
    what: &'static str,
    bytes: Vec<u8>,
    /// The close code for it.
    code: u16,
    rfc: &'static str,
    /// What a server that accepts it lets happen.
    advice: &'static str,
}

fn all() -> Vec<Wrong> {
    let wrong = |check, what, bytes: Vec<u8>, code, rfc, advice| Wrong {
        check,
        what,
        bytes,
        code,
        rfc,
        advice,
    };
    vec![
        wrong(
            "unmasked",
            "an unmasked frame",
            without_mask(),
            1002,
            "RFC 6455, section 5.1",
            "masks keep pages from writing what proxies read as HTTP: close with 1002",
        ),
        wrong(
            "reserved-bit",
            "a frame with RSV1, without an extension",
            masked(FIN | RSV1 | TEXT, b"rsv1"),
            1002,
            "RFC 6455, section 5.2",
            "without permessage-deflate such a frame means nothing, and its bytes are not the message",
        ),
        wrong(
            "reserved-bit-control",
            "a ping with RSV1, without an extension",
            masked(FIN | RSV1 | PING, b"rsv1"),
            1002,
            "RFC 6455, section 5.2",
            "no extension uses it for control frames: close with 1002",
        ),
        wrong(
            "reserved-opcode",
            "a frame with the opcode 3",
            masked(FIN | 0x3, b"opcode"),
            1002,
            "RFC 6455, section 5.2",
            "a frame that is skipped may have been a part of a message: close with 1002",
        ),
        wrong(
            "control-length",
            "a ping of 126 bytes",
            masked(FIN | PING, &[b'x'; 126]),
            1002,
            "RFC 6455, section 5.5",
            "a control frame has at most 125 bytes, so that it needs no buffer: close with 1002",
        ),
        wrong(
            "control-fragment",
            "a ping without FIN",
            masked(PING, b"part"),
            1002,
            "RFC 6455, section 5.5",
            "a control frame is never fragmented: close with 1002",
        ),
        wrong(
            "continuation",
            "a continuation of nothing",
            masked(FIN | CONTINUATION, b"of nothing"),
            1002,
            "RFC 6455, section 5.4",
            "a message begins with text or binary: close with 1002",
        ),
        wrong(
            "interleaved",
            "a message within the fragments of another",
            [masked(TEXT, b"one"), masked(FIN | TEXT, b"two")].concat(),
            1002,
            "RFC 6455, section 5.4",
            "what follows may be taken for the wrong message: close with 1002",
        ),
        wrong(
            "utf8",
            "text that is not UTF-8",
            masked(FIN | TEXT, b"\xc3\x28"),
            1007,
            "RFC 6455, section 8.1",
            "programs behind it get text that is none: validate, and close with 1007",
        ),
        wrong(
            "utf8-fragments",
            "text that is not UTF-8 across fragments",
            [masked(TEXT, b"\xe2\x82"), masked(FIN | CONTINUATION, b"\x28")].concat(),
            1007,
            "RFC 6455, section 8.1",
            "validate the whole message, not each fragment, and close with 1007",
        ),
        wrong(
            "utf8-surrogate",
            "text with a surrogate (U+D800)",
            masked(FIN | TEXT, b"\xed\xa0\x80"),
            1007,
            "RFC 3629, section 3",
            "surrogates are no UTF-8: validate strictly, and close with 1007",
        ),
    ]
}

/// An unmasked message, and an unmasked fragment. A server that overlooks the bit and reads a key all the
/// same takes both for one masked message.
fn without_mask() -> Vec<u8> {
    [unmasked(FIN | TEXT, &[0; 4]), unmasked(TEXT, b"xx")].concat()
}

/// Sends each on a connection of its own.
pub(crate) async fn violations(doctor: &mut Doctor) {
    for wrong in all() {
        let finding =
            violation(doctor, &wrong).await.unwrap_or_else(|trouble| trouble.of(wrong.check));
        doctor.add(finding);
    }
    for wrong in closes() {
        let finding =
            invalid_close(doctor, &wrong).await.unwrap_or_else(|trouble| trouble.of(wrong.check));
        doctor.add(finding);
    }
}

async fn violation(doctor: &mut Doctor, wrong: &Wrong) -> Result<Finding, Trouble> {
    let mut talk = doctor.talk().await?;
    let reaction = talk.provoke(&wrong.bytes).await;
    let step = talk.step();
    doctor.drop(talk);
    Ok(judged(wrong, &reaction, doctor.habit, step).rfc(wrong.rfc))
}

fn judged(wrong: &Wrong, reaction: &Reaction, habit: Habit, step: std::time::Duration) -> Finding {
    let (check, what, code) = (wrong.check, wrong.what, wrong.code);
    let seen = format!("{what}: the server {}", reaction.words(step));
    if reaction.goes_on() {
        return Finding::fault(check, seen).advice(wrong.advice);
    }
    match (reaction.close, &reaction.end) {
        // The same would have come after any message.
        (close, _)
            if is_habit(habit, close.flatten().map(|code| code.get())) && is_message(wrong) =>
        {
            Finding::unseen(check, format!("{seen}, as after any message"))
        }
        (Some(Some(closed)), _) if closed.get() == code => Finding::ok(check, seen),
        (_, Some(End::Flood | End::Broken(_))) => Finding::fault(check, seen).advice(wrong.advice),
        (Some(_), _) => Finding::note(check, seen).advice(format!("{code} is the code for it")),
        (None, Some(_)) => Finding::note(check, seen)
            .advice(format!("a close frame with {code} first tells the client why")),
        (None, None) => Finding::warning(check, seen)
            .advice(format!("the connection is neither used nor ended: fail it with {code}")),
    }
}

fn is_habit(habit: Habit, code: Option<u16>) -> bool {
    matches!(habit, Habit::Closes(usual) if usual == code)
}

/// Whether it could be taken for a message.
fn is_message(wrong: &Wrong) -> bool {
    wrong.check.starts_with("utf8") || wrong.check == "interleaved" || wrong.check == "unmasked"
}

/// Close frames that no client may send.
fn closes() -> Vec<Wrong> {
    let wrong = |check, what, bytes: Vec<u8>, code, rfc| Wrong {
        check,
        what,
        bytes,
        code,
        rfc,
        advice: "this code is never sent: answer with 1002, and not with the code itself",
    };
    vec![
        wrong(
            "close-1005",
            "a close frame with 1005",
            close(1005),
            1002,
            "RFC 6455, section 7.4.1",
        ),
        wrong("close-999", "a close frame with 999", close(999), 1002, "RFC 6455, section 7.4.2"),
        wrong(
            "close-reason",
            "a close frame whose reason is not UTF-8",
            masked(FIN | CLOSE, b"\x03\xe8\xc3\x28"),
            1007,
            "RFC 6455, section 5.5.1",
        ),
    ]
}

async fn invalid_close(doctor: &mut Doctor, wrong: &Wrong) -> Result<Finding, Trouble> {
    let mut talk = doctor.talk().await?;
    talk.send(&wrong.bytes).await;
    let reaction = talk.answer(|_| false).await;
    let step = talk.step();
    doctor.drop(talk);
    Ok(judged_close(wrong, &reaction, step).rfc(wrong.rfc))
}

fn judged_close(wrong: &Wrong, reaction: &Reaction, step: std::time::Duration) -> Finding {
    let (check, what) = (wrong.check, wrong.what);
    let seen = format!("{what}: the server {}", reaction.words(step));
    match (reaction.close, &reaction.end) {
        // Either is allowed: a malformed close frame is a fault of the protocol as well.
        (Some(Some(code)), _) if [1002, 1007].contains(&code.get()) => Finding::ok(check, seen),
        (Some(Some(code)), _) if !code.is_sendable() => {
            Finding::fault(check, seen).advice(wrong.advice)
        }
        (Some(_), _) => Finding::note(check, seen)
            .advice(format!("{} says that the close frame was invalid", wrong.code)),
        (None, Some(End::Eof | End::Reset)) => {
            Finding::note(check, seen).advice(format!("a close frame with {} says why", wrong.code))
        }
        (None, _) => {
            Finding::warning(check, seen).advice(format!("fail the connection with {}", wrong.code))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use towline::CloseCode;

    use super::*;
    use crate::check::finding::Level;

    #[test]
    fn a_close_that_any_message_causes_says_nothing() {
        let closed = |code| Reaction {
            close: Some(Some(CloseCode::new(code))),
            end: Some(End::Eof),
            ..Reaction::default()
        };
        let utf8 = all().into_iter().find(|wrong| wrong.check == "utf8").unwrap();
        for (code, habit, level) in [
            (1007, Habit::Echoes, Level::Ok),
            (1002, Habit::Echoes, Level::Note),
            (1008, Habit::Closes(Some(1008)), Level::Unseen),
            (1008, Habit::Closes(Some(1003)), Level::Note),
            (1007, Habit::Closes(Some(1007)), Level::Unseen),
        ] {
            assert_eq!(judged(&utf8, &closed(code), habit, Duration::ZERO).level, level, "{code}");
        }
    }

    #[test]
    fn each_violation_has_a_name_of_its_own() {
        let names: Vec<_> = all().iter().chain(&closes()).map(|wrong| wrong.check).collect();
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
    }
}
