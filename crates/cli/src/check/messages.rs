//! Messages, pings and fragments, on a connection where all is right.

use std::time::{Duration, Instant};

use serde_json::json;
use towline::Opcode;

use crate::check::doctor::{Doctor, Habit, Trouble};
use crate::check::finding::{Finding, milliseconds};
use crate::check::frames::{CONTINUATION, FIN, PING, TEXT, masked};
use crate::check::open::staying;
use crate::check::talk::{End, Reaction, Talk};

/// How many pings are timed.
const PINGS: u8 = 5;

/// Characters of every length in UTF-8, so that fragments can end within one.
const WORDS: &str = "a\u{e9}\u{20ac}\u{1f6a2}";

/// Looks at the first connection.
pub(crate) async fn messages(doctor: &mut Doctor, talk: Talk) {
    let checks = ["ping", "message", "fragments"];
    let Some(mut talk) = staying(doctor, talk).await else {
        if let Some(trouble) = doctor.closed() {
            unseen(doctor, &trouble, &checks);
        }
        return;
    };
    let finding = pings(&mut talk).await;
    doctor.add(finding);
    if talk.is_over {
        doctor.drop(talk);
        talk = match doctor.talk().await {
            Ok(talk) => talk,
            Err(trouble) => return unseen(doctor, &trouble, &checks[1..]),
        };
    }
    let finding = message(doctor, &mut talk).await;
    doctor.add(finding);
    if let Habit::Closes(_) = doctor.habit {
        doctor.drop(talk);
        let why =
            "the server closes when it gets a text message: --message TEXT sends one that it knows";
        doctor.add(Finding::unseen("fragments", why));
        return;
    }
    let finding = fragments(doctor.habit, &mut talk).await;
    doctor.add(finding);
    doctor.leave(talk).await;
}

/// The lines of checks for which there is no connection.
fn unseen(doctor: &mut Doctor, trouble: &Trouble, checks: &[&'static str]) {
    for check in checks {
        doctor.add(Finding::unseen(check, trouble.to_string()));
    }
}

async fn pings(talk: &mut Talk) -> Finding {
    let rfc = "RFC 6455, section 5.5.3";
    let mut times: Vec<Duration> = Vec::new();
    // The last ones are the shortest and the longest that there can be.
    let mut payloads: Vec<Vec<u8>> =
        (0..PINGS).map(|number| format!("check {number}").into_bytes()).collect();
    payloads.extend([Vec::new(), vec![b'x'; 125]]);
    for payload in payloads {
        let begun = Instant::now();
        talk.send(&masked(FIN | PING, &payload)).await;
        let reaction = talk.answer(|reaction| !reaction.pongs.is_empty()).await;
        match reaction.pongs.first() {
            Some(pong) if *pong == payload => times.push(begun.elapsed()),
            Some(pong) => {
                return Finding::fault(
                    "ping",
                    format!(
                        "a pong of {} bytes answered a ping of {} bytes",
                        pong.len(),
                        payload.len()
                    ),
                )
                .rfc(rfc)
                .advice("a pong has the payload of the ping that it answers");
            }
            None if reaction.is_its_own_close() => {
                let words = reaction.words(talk.step());
                let seen =
                    format!("after a ping the server {words}; an end that closes owes no pong");
                return Finding::unseen("ping", seen);
            }
            None => {
                return Finding::fault(
                    "ping",
                    format!(
                        "no pong for a ping of {} bytes: the server {}",
                        payload.len(),
                        reaction.words(talk.step())
                    ),
                )
                .rfc("RFC 6455, section 5.5.2")
                .advice("clients that send keepalive pings give the server up: answer each ping");
            }
        }
    }
    times.truncate(PINGS.into());
    times.sort();
    let (Some(least), Some(most)) = (times.first(), times.last()) else {
        return Finding::unseen("ping", "no ping was sent");
    };
    let median = milliseconds(times[times.len() / 2]);
    let (least, most) = (milliseconds(*least), milliseconds(*most));
    Finding::ok("ping", format!("pongs with the same payload; round trip {median:.2} ms (median; {least:.2} to {most:.2} ms)"))
        .rfc(rfc)
        .values(json!({ "min_ms": least, "median_ms": median, "max_ms": most }))
}

/// Sends a message, to know what to expect of others.
async fn message(doctor: &mut Doctor, talk: &mut Talk) -> Finding {
    let text = doctor.message.clone();
    talk.send(&masked(FIN | TEXT, text.as_bytes())).await;
    let is_echo = |reaction: &Reaction| {
        reaction
            .messages
            .iter()
            .any(|(opcode, message)| *opcode == Opcode::Text && message == text.as_bytes())
    };
    let mut reaction = Reaction::default();
    talk.watch(Duration::from_millis(500), &mut reaction, is_echo).await;
    let count = reaction.messages.len();
    let (habit, finding) = if is_echo(&reaction) {
        (Habit::Echoes, Finding::ok("message", "a text message came back: it is an echo server"))
    } else if reaction.is_over() && reaction.end != Some(End::Flood) {
        let code = reaction.close.flatten().map(|code| code.get());
        let seen = format!("after a text message the server {}", reaction.words(talk.step()));
        let advice = "--message TEXT sends one that the server knows; without it, checks of messages are not seen";
        (Habit::Closes(code), Finding::note("message", seen).advice(advice))
    } else if count > 0 {
        (
            Habit::Answers,
            Finding::note("message", format!("no echo: {count} other message(s) came")),
        )
    } else {
        (Habit::Silent, Finding::note("message", "no echo: nothing came back within 500 ms"))
    };
    doctor.habit = habit;
    let word = match habit {
        Habit::Echoes => "echoes",
        Habit::Answers => "answers",
        Habit::Silent => "silent",
        Habit::Closes(_) => "closes",
        Habit::Unknown => "unknown",
    };
    finding.values(json!({ "server": word }))
}

/// A message in pieces that end within characters, with a ping between.
async fn fragments(habit: Habit, talk: &mut Talk) -> Finding {
    let rfc = "RFC 6455, section 5.4";
    let bytes = WORDS.as_bytes();
    let mut first = masked(TEXT, &bytes[..2]);
    first.extend(masked(CONTINUATION, &bytes[2..4]));
    first.extend(masked(CONTINUATION, &[]));
    first.extend(masked(FIN | PING, b"between"));
    talk.send(&first).await;
    let is_answered = |reaction: &Reaction| reaction.pongs.iter().any(|pong| pong == b"between");
    let mut reaction = talk.answer(is_answered).await;
    if !is_answered(&reaction) {
        let seen = format!("a ping between fragments: the server {}", reaction.words(talk.step()));
        if reaction.is_its_own_close() {
            return Finding::unseen("fragments", seen);
        }
        return Finding::fault("fragments", seen)
            .rfc(rfc)
            .advice("control frames may come between the fragments of a message, and a ping is answered then");
    }
    talk.send(&masked(FIN | CONTINUATION, &bytes[4..])).await;
    let is_echo =
        |reaction: &Reaction| reaction.messages.iter().any(|(_, message)| message == bytes);
    if habit == Habit::Echoes {
        talk.watch(talk.step(), &mut reaction, is_echo).await;
        if is_echo(&reaction) {
            return Finding::ok(
                "fragments",
                "a message in four fragments, which end within characters, came back \
                whole; a ping between them was answered at once",
            )
            .rfc(rfc);
        }
    }
    let after = talk.probe().await;
    if after.goes_on() && habit == Habit::Echoes {
        let seen = match reaction.messages.last().or(after.messages.last()) {
            Some((_, message)) => format!(
                "a message of {} bytes in fragments came back with {} bytes",
                bytes.len(),
                message.len()
            ),
            None => "a message in fragments did not come back".to_owned(),
        };
        return Finding::fault("fragments", seen)
            .rfc(rfc)
            .advice("a message is the payload of all its fragments");
    }
    match after.goes_on() {
        false if after.is_its_own_close() => {
            let words = after.words(talk.step());
            Finding::unseen(
                "fragments",
                format!("after a message in four fragments the server {words}"),
            )
        }
        true => Finding::ok(
            "fragments",
            "a message in four fragments is accepted, and a ping between them \
            answered at once; whether it was understood is not seen without an echo",
        )
        .rfc(rfc),
        false => Finding::fault(
            "fragments",
            format!("after a message in four fragments the server {}", after.words(talk.step())),
        )
        .rfc(rfc)
        .advice("every endpoint has to accept fragments, and browsers and proxies may make some"),
    }
}
