//! permessage-deflate: each form of an offer, and what compressed frames do.

use http::HeaderValue;
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use serde_json::json;
use tokio::time::timeout;
use towline::{Config, Deflate, Extension, Message};
use towline_proto::handshake::parse_extensions;

use crate::check::doctor::{Doctor, Habit, Trouble};
use crate::check::finding::Finding;
use crate::check::frames::{BINARY, FIN, PING, RSV1, TEXT, masked};
use crate::check::talk::Talk;

const NAME: &str = "permessage-deflate";

/// "Hello", compressed (RFC 7692, section 7.2.3.1).
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// A block of the type that does not exist (RFC 1951, section 3.2.3).
const GARBAGE: &[u8] = &[0xff; 16];

/// An offer.
struct Form {
    check: &'static str,
    offer: &'static str,
    /// What is sent on the connection, if the server agrees.
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    Hello,
    Garbage,
    Control,
    Nothing,
}

impl Then {
    /// The check that is made on the connection.
    fn check(self, breaks: bool) -> Option<&'static str> {
        match self {
            Self::Hello => Some("deflate-message"),
            Self::Garbage if breaks => Some("deflate-garbage"),
            Self::Control if breaks => Some("deflate-control"),
            _ => None,
        }
    }
}

const FORMS: [Form; 4] = [
    Form { check: "deflate", offer: "permessage-deflate", then: Then::Hello },
    Form {
        check: "deflate-takeover",
        offer: "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        then: Then::Garbage,
    },
    Form {
        check: "deflate-client-window",
        offer: "permessage-deflate; client_max_window_bits",
        then: Then::Control,
    },
    Form {
        check: "deflate-server-window",
        offer: "permessage-deflate; server_max_window_bits=10",
        then: Then::Nothing,
    },
];

/// Offers compression in each form. With `breaks` it also sends frames that have to be refused.
pub(crate) async fn compression(doctor: &mut Doctor, breaks: bool) {
    let mut is_agreed = false;
    for form in FORMS {
        match offered(doctor, &form, breaks).await {
            Ok(agreed) => is_agreed |= agreed,
            Err(trouble) => doctor.add(trouble.of(form.check)),
        }
    }
    if is_agreed {
        let finding = echo(doctor).await.unwrap_or_else(|trouble| trouble.of("deflate-echo"));
        doctor.add(finding);
    }
}

/// Makes an offer. Returns whether the server agreed.
async fn offered(doctor: &mut Doctor, form: &Form, breaks: bool) -> Result<bool, Trouble> {
    let offer = HeaderValue::from_static(form.offer);
    let answer = doctor
        .ask(|request| drop(request.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, offer)))
        .await?;
    let status = answer.status();
    let extensions = parse_extensions(answer.response.headers()).map_err(|error| error.to_string());
    let Some(mut talk) = answer.talk else {
        doctor.add(
            Finding::warning(form.check, format!("{}: refused with {status}", form.offer))
                .rfc("RFC 7692, section 5.1")
                .advice("a server that can't meet an offer leaves Sec-WebSocket-Extensions out, and connects"),
        );
        return Ok(false);
    };
    let (finding, is_agreed) = judged(form.offer, form.check, extensions);
    doctor.add(finding);
    if is_agreed && let Some(trouble) = doctor.closed() {
        if let Some(check) = form.then.check(breaks) {
            doctor.add(trouble.of(check));
        }
    } else if is_agreed {
        let then = match form.then {
            Then::Hello => Some(hello(doctor.habit, &mut talk).await),
            Then::Garbage if breaks => Some(garbage(&mut talk).await),
            Then::Control if breaks => Some(control(&mut talk).await),
            _ => None,
        };
        if let Some(finding) = then {
            doctor.add(finding);
        }
    }
    doctor.leave(talk).await;
    Ok(is_agreed)
}

/// Judges the answer to an offer. The second is whether compression is agreed.
fn judged(
    offer: &str,
    check: &'static str,
    extensions: Result<Vec<Extension>, String>,
) -> (Finding, bool) {
    let rfc = "RFC 7692, section 7.1";
    let extensions = match extensions {
        Ok(extensions) => extensions,
        Err(why) => return (Finding::fault(check, format!("{offer}: {why}")).rfc(rfc), false),
    };
    let Some(first) = extensions.first() else {
        return (
            Finding::ok(check, format!("{offer}: declined, without compression")).rfc(rfc),
            false,
        );
    };
    let agreed = first.to_string();
    let wrong = if extensions.len() > 1 {
        Some("more than one extension was agreed on".to_owned())
    } else {
        wrong(offer, first)
    };
    let values = json!({ "offered": offer, "agreed": agreed });
    match wrong {
        Some(why) => {
            let finding =
                Finding::fault(check, format!("{offer}: the server agreed on {agreed}, but {why}"));
            (
                finding
                    .rfc(rfc)
                    .advice("clients fail the connection: answer each parameter as the RFC says")
                    .values(values),
                false,
            )
        }
        None => (
            Finding::ok(check, format!("{offer}: agreed on {agreed}")).rfc(rfc).values(values),
            true,
        ),
    }
}

/// Why this does not answer the offer.
fn wrong(offer: &str, agreed: &Extension) -> Option<String> {
    if agreed.name() != NAME {
        return Some(format!("{} was not offered", agreed.name()));
    }
    let mut seen = Vec::new();
    let mut server_bits = None;
    for param in agreed.params() {
        let (name, value) = (param.name(), param.value());
        if seen.contains(&name) {
            return Some(format!("{name} is repeated"));
        }
        seen.push(name);
        let bits =
            value.and_then(|value| value.parse::<u8>().ok()).filter(|bits| (8..=15).contains(bits));
        match name {
            "server_no_context_takeover" | "client_no_context_takeover" if value.is_none() => {}
            "server_max_window_bits" if bits.is_some() => server_bits = bits,
            "client_max_window_bits" if bits.is_some() && offer.contains(name) => {}
            "client_max_window_bits" if bits.is_some() => {
                return Some(format!("{name} was not offered"));
            }
            _ => return Some(format!("{param} is no parameter that there is")),
        }
    }
    if offer.contains("server_no_context_takeover") && !seen.contains(&"server_no_context_takeover")
    {
        return Some("server_no_context_takeover is missing".to_owned());
    }
    if offer.contains("server_max_window_bits") && server_bits.is_none_or(|bits| bits > 10) {
        return Some("server_max_window_bits is missing or above 10".to_owned());
    }
    None
}

async fn hello(habit: Habit, talk: &mut Talk) -> Finding {
    let check = "deflate-message";
    let rfc = "RFC 7692, section 7.2.2";
    // Twice: the second may refer to the first, and does not have to.
    let twice = [masked(FIN | RSV1 | TEXT, HELLO), masked(FIN | TEXT, b"plain")].concat();
    let reaction = talk.provoke(&twice).await;
    match reaction.goes_on() {
        true => Finding::ok(check, "a compressed message and an uncompressed one are accepted").rfc(rfc),
        false if matches!(habit, Habit::Closes(_)) => {
            Finding::unseen(check, format!("a compressed message: the server {}, as after any", reaction.words(talk.step())))
        }
        false if reaction.is_its_own_close() => {
            Finding::unseen(check, format!("a compressed message: the server {}", reaction.words(talk.step())))
        }
        false => Finding::fault(check, format!("a compressed message: the server {}", reaction.words(talk.step())))
            .rfc(rfc)
            .advice("the server agreed on compression and can't inflate: see whether a proxy changes the frames"),
    }
}

async fn garbage(talk: &mut Talk) -> Finding {
    let check = "deflate-garbage";
    let reaction = talk.provoke(&masked(FIN | RSV1 | BINARY, GARBAGE)).await;
    let seen = format!(
        "a compressed message that is no deflate: the server {}",
        reaction.words(talk.step())
    );
    let code = reaction.close.flatten().map(|code| code.get());
    let finding = match (reaction.goes_on(), code) {
        (true, _) => Finding::fault(check, seen)
            .advice("a message that can't be inflated is lost: fail the connection"),
        (_, Some(1002 | 1003 | 1007)) => Finding::ok(check, seen),
        (_, Some(_)) => {
            Finding::note(check, seen).advice("1007 or 1002 say that the data was invalid")
        }
        _ if reaction.is_over() => {
            Finding::note(check, seen).advice("a close frame with 1007 or 1002 says why")
        }
        _ => Finding::warning(check, seen)
            .advice("the connection is neither used nor ended: fail it"),
    };
    finding.rfc("RFC 7692, section 7.2.2")
}

async fn control(talk: &mut Talk) -> Finding {
    let check = "deflate-control";
    let reaction = talk.provoke(&masked(FIN | RSV1 | PING, HELLO)).await;
    let seen = format!("a ping with RSV1: the server {}", reaction.words(talk.step()));
    let code = reaction.close.flatten().map(|code| code.get());
    let finding = match (reaction.goes_on(), code) {
        (true, _) => Finding::fault(check, seen)
            .advice("control frames are never compressed: close with 1002"),
        (_, Some(1002)) => Finding::ok(check, seen),
        _ if reaction.is_over() => Finding::note(check, seen).advice("1002 is the code for it"),
        _ => Finding::warning(check, seen)
            .advice("the connection is neither used nor ended: fail it"),
    };
    finding.rfc("RFC 7692, section 6")
}

/// Several messages that refer to each other, as this library's client sends them.
async fn echo(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let check = "deflate-echo";
    if let Some(trouble) = doctor.closed() {
        return Err(trouble);
    }
    if doctor.habit != Habit::Echoes {
        return Ok(Finding::unseen(
            check,
            "whether compressed messages are inflated rightly: the server is no echo",
        ));
    }
    let stream = doctor.stream().await?;
    let step = doctor.way.step;
    let client = doctor.client(Config::client().compression(Deflate::client().threshold(1)));
    let connection = client.connect_over(stream, doctor.asked.uri.to_string()).await;
    let mut connection = connection.map_err(|error| Trouble::Failed(error.to_string()))?;
    let agreed: Vec<_> = connection.extensions().iter().map(ToString::to_string).collect();
    for number in 0..4 {
        let text =
            format!("towline check, message {number}: {}", "ship ahoy, ".repeat(40 + number));
        let exchange = async {
            connection.send(text.as_str()).await?;
            connection.recv().await
        };
        let wrong = match timeout(step, exchange).await {
            Err(_) => format!("message {number} did not come back within {step:?}"),
            Ok(Err(error)) => format!("message {number}: {error}"),
            Ok(Ok(None)) => format!("the server closed after message {number}"),
            Ok(Ok(Some(message))) if message == Message::text(text.as_str()) => continue,
            Ok(Ok(Some(_))) => format!("message {number} came back changed"),
        };
        return Ok(Finding::fault(check, wrong)
            .rfc("RFC 7692, section 7.2.3.2")
            .advice("the two ends disagree on the window: see whether the server keeps its context as it agreed"));
    }
    // It has all been seen.
    let _ = timeout(step, connection.close(towline::CloseCode::NORMAL, "")).await;
    Ok(match agreed.is_empty() {
        true => Finding::unseen(check, "the server declined the offer that has all parameters"),
        false => Finding::ok(
            check,
            format!(
                "four messages that refer to each other came back whole, with {}",
                agreed.join(", ")
            ),
        ),
    }
    .rfc("RFC 7692, section 7.2.3.2"))
}

#[cfg(test)]
mod tests {
    use towline_proto::handshake::parse_extension_list;

    use super::*;
    use crate::check::finding::Level;

    #[test]
    fn an_answer_has_to_fit_its_offer() {
        let level = |form: &Form, answer: &str| {
            let extensions = parse_extension_list(answer).map_err(|error| error.to_string());
            judged(form.offer, form.check, extensions).0.level
        };
        let [plain, takeover, client, server] = &FORMS;
        for (form, answer, expected) in [
            (plain, "permessage-deflate", Level::Ok),
            (plain, "permessage-deflate; client_no_context_takeover", Level::Ok),
            (plain, "permessage-deflate; server_max_window_bits=12", Level::Ok),
            (plain, "permessage-deflate; client_max_window_bits=12", Level::Fault),
            (plain, "permessage-deflate; client_max_window_bits", Level::Fault),
            (plain, "permessage-deflate, permessage-deflate", Level::Fault),
            (plain, "x-webkit-deflate-frame", Level::Fault),
            (takeover, "permessage-deflate; server_no_context_takeover", Level::Ok),
            (takeover, "permessage-deflate", Level::Fault),
            (client, "permessage-deflate; client_max_window_bits=9", Level::Ok),
            (client, "permessage-deflate; client_max_window_bits=16", Level::Fault),
            (server, "permessage-deflate; server_max_window_bits=10", Level::Ok),
            (server, "permessage-deflate; server_max_window_bits=15", Level::Fault),
            (server, "permessage-deflate", Level::Fault),
        ] {
            assert_eq!(level(form, answer), expected, "{answer} to {}", form.offer);
        }
    }
}
