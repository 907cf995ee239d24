//! The closing handshake, and a client that is half gone.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use towline::CloseCode;

use crate::check::doctor::{Doctor, Trouble};
use crate::check::finding::{Finding, Level, milliseconds};
use crate::check::talk::{End, Reaction};

/// The codes that a client may close with; the last one is none.
const CODES: [Option<u16>; 5] = [Some(1000), Some(1001), Some(3000), Some(4000), None];

/// Closes with each code, and looks at the server's close frame and at who ends TCP. Codes with the
/// same outcome share a line.
pub(crate) async fn closes(doctor: &mut Doctor) {
    let mut outcomes: Vec<(Outcome, Vec<String>)> = Vec::new();
    let mut slowest = Duration::ZERO;
    for code in CODES {
        let words = code.map_or("no code".to_owned(), |code| code.to_string());
        let outcome = match close(doctor, code).await {
            Ok((outcome, took)) => {
                if outcome.level == Level::Ok {
                    slowest = slowest.max(took);
                }
                outcome
            }
            Err(trouble) => {
                Outcome { level: Level::Unseen, seen: trouble.to_string(), rfc: None, advice: None }
            }
        };
        match outcomes.iter_mut().find(|(other, _)| *other == outcome) {
            Some((_, codes)) => codes.push(words),
            None => outcomes.push((outcome, vec![words])),
        }
    }
    for (outcome, codes) in outcomes {
        let mut seen = format!("{}: {}", codes.join(", "), outcome.seen);
        let mut values = json!({ "codes": codes });
        if outcome.level == Level::Ok {
            let milliseconds = milliseconds(slowest);
            seen += &format!(", within {milliseconds:.1} ms");
            values["max_ms"] = json!(milliseconds);
        }
        let mut finding = Finding::ok("close", seen).values(values);
        (finding.level, finding.rfc) = (outcome.level, outcome.rfc);
        finding.advice = outcome.advice.map(ToOwned::to_owned);
        doctor.report.add(finding);
    }
}

/// How a close went.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    level: Level,
    seen: String,
    rfc: Option<&'static str>,
    advice: Option<&'static str>,
}

async fn close(doctor: &mut Doctor, code: Option<u16>) -> Result<(Outcome, Duration), Trouble> {
    let mut talk = doctor.talk().await?;
    let begun = Instant::now();
    talk.close(code).await;
    let reaction = talk.answer(|_| false).await;
    let (took, step) = (begun.elapsed(), talk.step());
    doctor.drop(talk);
    let outcome = judged(code, &reaction, step);
    // Codes share a line, which may be added later than its wait ended.
    if outcome.level > Level::Ok && doctor.is_late() {
        return Err(Trouble::OutOfTime);
    }
    Ok((outcome, took))
}

fn judged(code: Option<u16>, reaction: &Reaction, step: Duration) -> Outcome {
    let answered = reaction.close.map(|answered| answered.map(|code| code.get()));
    let frame = Some("RFC 6455, section 5.5.1");
    let end = Some("RFC 6455, section 7.1.1");
    let (level, rfc, advice) = match (answered, &reaction.end) {
        (None, Some(End::Eof | End::Reset | End::Flood)) => (
            Level::Fault,
            frame,
            "a peer that gets a close frame sends one back, so that both know that all was received",
        ),
        (None, _) => (
            Level::Fault,
            frame,
            "clients wait for the server's close frame until their timeout: answer it, and end TCP",
        ),
        (Some(_), None) => (
            Level::Warning,
            end,
            "the server ends TCP first, at once: a client that does keeps the port in TIME_WAIT",
        ),
        (Some(Some(answered)), _) if !CloseCode::new(answered).is_sendable() => {
            (Level::Fault, frame, "this code is never sent")
        }
        // 1000 is the usual answer to no code.
        (Some(answered), _) if answered == code || (code, answered) == (None, Some(1000)) => {
            let seen = "the same came back, and the server ended TCP".to_owned();
            return Outcome { level: Level::Ok, seen, rfc: end, advice: None };
        }
        (Some(_), _) => (Level::Note, frame, "servers typically send the code back"),
    };
    let seen = match (answered, &reaction.end) {
        (Some(answered), None) if answered == code => {
            "the same came back, and the server left the connection open".to_owned()
        }
        _ => format!("the server {}", reaction.words(step)),
    };
    Outcome { level, seen, rfc, advice: Some(advice) }
}

/// Ends the client's half of TCP without a close frame, as a client does whose process is gone.
pub(crate) async fn half_open(doctor: &mut Doctor) {
    let finding = half(doctor).await.unwrap_or_else(|trouble| trouble.of("half-open"));
    doctor.add(finding);
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
            format!("a client that ends TCP without a close frame is let go, after {:.1} ms", milliseconds(took)),
        ),
        _ => Finding::warning("half-open", format!("a client that ended TCP is still held after {step:?}"))
            .advice("such connections pile up until a keepalive ping fails: end a connection when its read half ends"),
    };
    Ok(finding.rfc("RFC 6455, section 7.1.4"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_decides() {
        let end = Some(End::Eof);
        for (code, close, end, expected) in [
            (Some(1000), Some(Some(1000)), end.clone(), Level::Ok),
            (None, Some(None), end.clone(), Level::Ok),
            (None, Some(Some(1000)), end.clone(), Level::Ok),
            (None, Some(Some(1005)), end.clone(), Level::Fault),
            (Some(4000), Some(Some(1000)), end.clone(), Level::Note),
            (Some(1000), Some(Some(1000)), None, Level::Warning),
            (Some(1000), None, end, Level::Fault),
            (Some(1000), None, None, Level::Fault),
        ] {
            let close = close.map(|close| close.map(CloseCode::new));
            let reaction = Reaction { close, end, ..Reaction::default() };
            assert_eq!(judged(code, &reaction, Duration::ZERO).level, expected, "{reaction:?}");
        }
    }
}
