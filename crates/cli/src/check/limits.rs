//! How large a message may be: found by doubling, up to a bound.

use serde_json::json;
use tokio::time::timeout;
use towline::{Config, Deflate, Message};

use crate::check::doctor::{Doctor, Habit, Trouble};
use crate::check::finding::Finding;
use crate::check::frames::{BINARY, CONTINUATION, FIN, TEXT, masked};
use crate::check::talk::{End, Reaction, Talk};
use crate::quantity::in_words;

const FIRST: usize = 1 << 10;

/// A message of this size that is accepted means that there is hardly a limit.
const HUGE: usize = 16 << 20;

/// Finds the limit, and looks at whether it holds for fragments and for compressed messages.
pub(crate) async fn limits(doctor: &mut Doctor, most: usize) {
    if let Habit::Closes(_) = doctor.habit {
        doctor.add(Finding::unseen("limit", "the server closes after any text message"));
    } else {
        match doubled(doctor, most).await {
            Err(trouble) => doctor.add(trouble.of("limit")),
            Ok((finding, refused)) => {
                doctor.add(finding);
                if let Some((accepted, refused)) = refused {
                    let finding = in_fragments(doctor, accepted, refused, most).await;
                    doctor.add(finding.unwrap_or_else(|trouble| trouble.of("limit-fragments")));
                    let finding = inflated(doctor, refused).await;
                    doctor.add(finding.unwrap_or_else(|trouble| trouble.of("limit-inflated")));
                }
            }
        }
    }
    let finding = declared(doctor).await.unwrap_or_else(|trouble| trouble.of("limit-declared"));
    doctor.add(finding);
}

/// Sends messages in one frame each. The second has the largest size that was accepted, and the one that was
/// refused.
async fn doubled(
    doctor: &mut Doctor,
    most: usize,
) -> Result<(Finding, Option<(usize, usize)>), Trouble> {
    let mut talk = doctor.talk().await?;
    let (mut size, mut accepted) = (FIRST.min(most), 0);
    loop {
        // An echo, and the frames of it.
        talk.expect(2 * size);
        talk.send(&masked(FIN | TEXT, &vec![b'x'; size])).await;
        let (reaction, is_accepted) = taken(doctor.habit, &mut talk, size).await;
        if is_accepted {
            accepted = size;
            if size >= most {
                break;
            }
            size = (2 * size).min(most);
            continue;
        }
        let step = talk.step();
        doctor.drop(talk);
        return Ok((
            refused(&reaction, accepted, size, step),
            (reaction.is_over() && accepted > 0).then_some((accepted, size)),
        ));
    }
    doctor.leave(talk).await;
    let seen = format!(
        "messages of up to {} are accepted, the most that was tried (--max-size)",
        in_words(accepted as u64)
    );
    let values = json!({ "accepted": accepted, "refused": null });
    let finding = match accepted >= HUGE {
        true => Finding::warning("limit", seen)
            .advice("each client can make the server hold that much: set a limit near the largest message that you need"),
        false => Finding::note("limit", seen),
    };
    Ok((finding.rfc("RFC 6455, section 10.4").values(values), None))
}

fn refused(
    reaction: &Reaction,
    accepted: usize,
    size: usize,
    step: std::time::Duration,
) -> Finding {
    let (few, many) = (in_words(accepted as u64), in_words(size as u64));
    let seen =
        format!("a message of {few} is accepted; at {many} the server {}", reaction.words(step));
    let code = reaction.close.flatten().map(|code| code.get());
    let finding = match (code, &reaction.end) {
        (Some(1009), _) => Finding::ok("limit", seen),
        (Some(_), _) => Finding::note("limit", seen).advice("1009 is the code for a message that is too large"),
        (None, Some(End::Eof | End::Reset)) => Finding::note("limit", seen).advice(
            "a close frame with 1009 tells the client why; if the server sends one, let it read on for a moment before \
             it ends TCP, or a reset overtakes it",
        ),
        _ => Finding::warning("limit", seen).advice("see whether the server is still busy, or has forgotten the client"),
    };
    finding
        .rfc("RFC 6455, section 7.4.1")
        .values(json!({ "accepted": accepted, "refused": size, "code": code }))
}

/// Waits for the echo of a message, or else for the answer to a ping. Returns whether the message was
/// taken. A server with much to send may drop a pong, so an echo is enough.
async fn taken(habit: Habit, talk: &mut Talk, size: usize) -> (Reaction, bool) {
    if habit == Habit::Echoes {
        let is_echo = |reaction: &Reaction| {
            reaction.messages.iter().any(|(_, message)| message.len() == size)
        };
        let reaction = talk.answer(is_echo).await;
        let is_taken = is_echo(&reaction);
        if is_taken || reaction.is_over() {
            return (reaction, is_taken);
        }
    }
    let reaction = talk.probe().await;
    let is_taken = reaction.goes_on();
    (reaction, is_taken)
}

/// Messages in fragments that are each far below the limit of a frame: from twice the size that was
/// refused up to `most`.
async fn in_fragments(
    doctor: &mut Doctor,
    accepted: usize,
    refused: usize,
    most: usize,
) -> Result<Finding, Trouble> {
    let check = "limit-fragments";
    let mut talk = doctor.talk().await?;
    let piece = vec![b'x'; accepted.min(64 << 10)];
    let mut size = 2 * refused;
    let mut largest = 0;
    let finding = loop {
        let pieces = size.div_ceil(piece.len());
        talk.expect(2 * pieces * piece.len());
        for number in 0..pieces {
            let first = if number == 0 { TEXT } else { CONTINUATION };
            let fin = if number == pieces - 1 { FIN } else { 0 };
            talk.send(&masked(fin | first, &piece)).await;
        }
        let (reaction, is_taken) = taken(doctor.habit, &mut talk, pieces * piece.len()).await;
        let words = in_words(size as u64);
        if !is_taken {
            let seen = format!(
                "a message of {words} in fragments: the server {}",
                reaction.words(talk.step())
            );
            break match (reaction.is_over(), largest) {
                (true, 0) => Finding::ok(check, seen),
                (true, _) => {
                    Finding::ok(check, format!("{seen}; frames and messages have different limits"))
                }
                (false, _) => Finding::note(check, seen),
            };
        }
        largest = size;
        if size < most {
            size = (2 * size).min(most);
            continue;
        }
        let seen = format!(
            "a message of {words} in fragments is accepted, and in one frame {} is not",
            in_words(refused as u64)
        );
        // Libraries that limit both mostly have 16 times as much for a message.
        break match size > 16 * refused || size >= HUGE {
            true => Finding::warning(check, seen).advice(
                "the limit holds for a frame and not for a message: fragments go around it, and fill the memory",
            ),
            false => Finding::note(check, seen).advice("see whether there is a limit for messages: --max-size 16MiB tries more"),
        };
    };
    doctor.drop(talk);
    Ok(finding.rfc("RFC 6455, section 10.4").values(json!({ "accepted": largest })))
}

/// Twice the size that was refused, as a few compressed bytes.
async fn inflated(doctor: &mut Doctor, refused: usize) -> Result<Finding, Trouble> {
    let size = 2 * refused;
    let check = "limit-inflated";
    let stream = doctor.stream().await?;
    let step = doctor.way.step;
    let config = Config::client()
        .compression(Deflate::client())
        .fragment_outgoing_messages(false)
        .max_received_message_size(2 * size);
    let client = doctor.client(config);
    let connection = client.connect_over(stream, doctor.asked.uri.to_string()).await;
    let mut connection = connection.map_err(|error| Trouble::Failed(error.to_string()))?;
    if connection.extensions().is_empty() {
        let _ = timeout(step, connection.close(towline::CloseCode::NORMAL, "")).await;
        return Ok(Finding::unseen(
            check,
            "a compressed message above the limit: the server does not compress",
        ));
    }
    let text = "x".repeat(size);
    let exchange = async {
        connection.send(Message::text(text)).await?;
        connection.ping("check").await?;
        loop {
            match connection.next_event().await? {
                Some(towline::Event::Pong(payload)) if payload == "check" => return Ok(true),
                Some(_) => {}
                None => return Ok(false),
            }
        }
    };
    let outcome: Result<towline::Result<bool>, _> = timeout(step, exchange).await;
    let words = in_words(size as u64);
    Ok(match outcome {
        Ok(Ok(true)) => Finding::warning(check, format!("{words} as a few compressed bytes is accepted"))
            .advice("the limit holds for what is received and not for what it inflates to: a few KiB fill the memory"),
        Err(_) => Finding::note(check, format!("{words} as a few compressed bytes: the server did not react within {step:?}")),
        Ok(Ok(false) | Err(_)) => Finding::ok(check, format!("{words} as a few compressed bytes is refused")),
    }
    .rfc("RFC 7692, section 8"))
}

/// A header that declares a terabyte, and nothing behind it.
async fn declared(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let mut talk = doctor.talk().await?;
    let mut header = vec![FIN | BINARY, 0xFF];
    header.extend_from_slice(&(1_u64 << 40).to_be_bytes());
    header.extend_from_slice(&towline_proto::wire::mask::random_key());
    talk.send(&header).await;
    let mut reaction = Reaction::default();
    let wait = std::time::Duration::from_secs(1);
    talk.watch(wait, &mut reaction, |_| false).await;
    let seen = format!("a frame that declares 1 TiB: the server {}", reaction.words(wait));
    doctor.drop(talk);
    Ok(match (reaction.close, &reaction.end) {
        (Some(_), _) => Finding::ok("limit-declared", seen),
        (None, Some(_)) => Finding::note("limit-declared", seen).advice("a close frame with 1009 tells the client why"),
        (None, None) => Finding::warning("limit-declared", seen)
            .advice("it waits for bytes that it can never take: check the length when the header is read, and close with 1009"),
    }
    .rfc("RFC 6455, section 10.4"))
}
