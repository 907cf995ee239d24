//! The closing handshake, and a client that is half gone.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::check::doctor::{Doctor, Trouble};
use crate::check::finding::Finding;
use crate::check::talk::{End, Reaction};

/// The codes that a client may close with; the last one is none.
const CODES: [Option<u16>; 5] = [Some(1000), Some(1001), Some(3000), Some(4000), None];

/// Closes with each code, and looks at the server's close frame and at who ends TCP.
pub(crate) async fn closes(doctor: &mut Doctor) {
    let mut good = Vec::new();
    let mut slowest = Duration::ZERO;
    for code in CODES {
        let words = code.map_or("no code".to_owned(), |code| code.to_string());
        match close(doctor, code).await {
            Ok((None, took)) => {
                slowest = slowest.max(took);
                good.push(words);
            }
            Ok((Some(finding), _)) => doctor.report.add(finding),
            Err(trouble) => {
                let why = format!("{words}: {trouble}");
                doctor.report.add(Finding::unseen("close", why));
            }
        }
    }
    if !good.is_empty() {
        let milliseconds = slowest.as_secs_f64() * 1000.0;
        let seen = format!(
            "{}: the same came back, and the server ended TCP, within {milliseconds:.1} ms",
            good.join(", ")
        );
        let values = json!({ "codes": good, "max_ms": milliseconds });
        doctor.report.add(Finding::ok("close", seen).rfc("RFC 6455, section 7.1.1").values(values));
    }
}

/// Closes with this code. Returns what is not as it should be.
async fn close(
    doctor: &mut Doctor,
    code: Option<u16>,
) -> Result<(Option<Finding>, Duration), Trouble> {
    let mut talk = doctor.talk().await?;
    let begun = Instant::now();
    talk.close(code).await;
    let reaction = talk.answer(|_| false).await;
    let (took, step) = (begun.elapsed(), talk.step());
    doctor.drop(talk);
    Ok((judged(code, &reaction, step), took))
}

fn judged(code: Option<u16>, reaction: &Reaction, step: Duration) -> Option<Finding> {
    let words = code.map_or("a close frame without a code".to_owned(), |code| {
        format!("a close frame with {code}")
    });
    let seen = format!("{words}: the server {}", reaction.words(step));
    let answered = reaction.close.map(|answered| answered.map(|code| code.get()));
    let missing =
        "a peer that gets a close frame sends one back, so that both know that all was received";
    Some(match (answered, &reaction.end) {
        (None, Some(End::Eof | End::Reset)) => {
            Finding::fault("close", seen).rfc("RFC 6455, section 5.5.1").advice(missing)
        }
        (None, Some(End::Flood)) => {
            Finding::fault("close", format!("{words}: the server goes on sending"))
                .rfc("RFC 6455, section 5.5.1")
                .advice(missing)
        }
        (None, _) => Finding::fault("close", seen).rfc("RFC 6455, section 5.5.1").advice(
            "clients wait for the server's close frame until their timeout: answer it, and end TCP",
        ),
        (Some(_), None) => Finding::warning("close", seen).rfc("RFC 6455, section 7.1.1").advice(
            "the server ends TCP first, at once: the client that does keeps the port in TIME_WAIT",
        ),
        // 1000 is the usual answer to no code.
        (Some(answered), _) if answered == code => return None,
        (Some(Some(1000)), _) if code.is_none() => return None,
        (Some(answered), _) => {
            let invalid = answered.is_some_and(|code| !towline::CloseCode::new(code).is_sendable());
            match invalid {
                true => Finding::fault("close", seen).advice("this code is never sent"),
                false => {
                    Finding::note("close", seen).advice("servers typically send the code back")
                }
            }
            .rfc("RFC 6455, section 5.5.1")
        }
    })
}

/// Ends the client's half of TCP without a close frame, as a client does whose process is gone.
pub(crate) async fn half_open(doctor: &mut Doctor) {
    let finding = half(doctor).await.unwrap_or_else(|trouble| trouble.of("half-open"));
    doctor.report.add(finding);
}

async fn half(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let mut talk = doctor.talk().await?;
    let begun = Instant::now();
    talk.end_writing().await;
    let reaction = talk.answer(|_| false).await;
    let (took, step) = (begun.elapsed(), talk.step());
    doctor.drop(talk);
    let finding = match reaction.end {
        Some(End::Eof | End::Reset) => Finding::ok(
            "half-open",
            format!("a client that ends TCP without a close frame is let go, after {:.1} ms", took.as_secs_f64() * 1000.0),
        ),
        _ => Finding::warning("half-open", format!("a client that ended TCP is still held after {step:?}"))
            .advice("such connections pile up until a keepalive ping fails: end a connection when its read half ends"),
    };
    Ok(finding.rfc("RFC 6455, section 7.1.4"))
}

#[cfg(test)]
mod tests {
    use towline::CloseCode;

    use super::*;
    use crate::check::finding::Level;

    #[test]
    fn what_comes_back_decides() {
        let end = Some(End::Eof);
        for (code, close, end, expected) in [
            (Some(1000), Some(Some(1000)), end.clone(), None),
            (None, Some(None), end.clone(), None),
            (None, Some(Some(1000)), end.clone(), None),
            (None, Some(Some(1005)), end.clone(), Some(Level::Fault)),
            (Some(4000), Some(Some(1000)), end.clone(), Some(Level::Note)),
            (Some(1000), Some(Some(1000)), None, Some(Level::Warning)),
            (Some(1000), None, end, Some(Level::Fault)),
            (Some(1000), None, None, Some(Level::Fault)),
        ] {
            let close = close.map(|close| close.map(CloseCode::new));
            let reaction = Reaction { close, end, ..Reaction::default() };
            let level = judged(code, &reaction, Duration::ZERO).map(|finding| finding.level);
            assert_eq!(level, expected, "{reaction:?}");
        }
    }
}
