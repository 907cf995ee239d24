//! What the handshake negotiates and whom it lets in: subprotocols, and the Origin.

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderValue, Request};
use serde_json::json;

use crate::check::doctor::{Answer, Doctor, Trouble, set_origin};
use crate::check::finding::Finding;
use crate::check::open::Entry;
use crate::secrets;

/// A name that no server knows.
const UNKNOWN: &str = "x-towline-check";

/// An origin that no server allows by name: `.invalid` is nobody's (RFC 6761).
const FOREIGN: &str = "https://towline-check.invalid";

fn set_protocols(request: &mut Request<()>, names: &str) {
    request.headers_mut().remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(value) = HeaderValue::from_str(names).ok().filter(|value| !value.is_empty()) {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
}

/// Asks with the subprotocols of `--protocol`, with none, and with an unknown one.
pub(crate) async fn subprotocols(doctor: &mut Doctor) {
    let asked = doctor.asked.protocols.clone();
    if !asked.is_empty() {
        let finding =
            given(doctor, &asked).await.unwrap_or_else(|trouble| trouble.of("subprotocol"));
        doctor.add(finding);
    }
    let finding = none(doctor).await.unwrap_or_else(|trouble| trouble.of("subprotocol-none"));
    doctor.add(finding);
    let finding = unknown(doctor).await.unwrap_or_else(|trouble| trouble.of("subprotocol-unknown"));
    doctor.add(finding);
}

fn chosen(answer: &Answer) -> Option<String> {
    answer.header("sec-websocket-protocol").map(ToOwned::to_owned)
}

async fn given(doctor: &mut Doctor, asked: &[String]) -> Result<Finding, Trouble> {
    let answer = doctor.ask(|_| ()).await?;
    let (status, chosen) = (answer.status(), chosen(&answer));
    let names = secrets::offered(asked);
    let shown = chosen.as_deref().map(|name| match asked.iter().position(|asked| asked == name) {
        Some(at) => names[at].as_str(),
        None => secrets::protocol_in_log(name),
    });
    let offered = names.join(", ");
    let finding = match (shown, answer.talk.is_some()) {
        (_, false) => Finding::warning("subprotocol", format!("{offered}: refused with {status}")),
        (Some(name), _) if chosen.as_ref().is_some_and(|chosen| asked.contains(chosen)) => Finding::ok("subprotocol", format!("{offered}: {name} was chosen")),
        (Some(name), _) => Finding::fault("subprotocol", format!("{offered}: the server chose {name:?}, which was not offered"))
            .advice("clients fail the connection: choose one of those offered, letter for letter, or none"),
        (None, _) => Finding::warning("subprotocol", format!("{offered}: none was chosen"))
            .advice("browsers fail a connection for which they offered subprotocols and got none: choose one, \
                     or refuse the handshake"),
    };
    answer.leave(doctor).await;
    Ok(finding.rfc("RFC 6455, section 4.2.2").values(json!({ "offered": names, "chosen": shown })))
}

async fn none(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let answer = doctor.ask(|request| set_protocols(request, "")).await?;
    let (status, chosen) = (answer.status(), chosen(&answer));
    let finding = match (&chosen, answer.talk.is_some()) {
        (_, false) => Finding::note(
            "subprotocol-none",
            format!("without a subprotocol: refused with {status}"),
        ),
        (Some(name), _) => Finding::fault(
            "subprotocol-none",
            format!("none was offered, and the server chose {name:?}"),
        )
        .advice(
            "clients fail the connection: answer Sec-WebSocket-Protocol only if it was asked for",
        ),
        (None, _) => Finding::ok("subprotocol-none", "none offered, none chosen"),
    };
    answer.leave(doctor).await;
    Ok(finding.rfc("RFC 6455, section 4.1"))
}

async fn unknown(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let answer = doctor.ask(|request| set_protocols(request, UNKNOWN)).await?;
    let (status, chosen) = (answer.status(), chosen(&answer));
    let finding = match (&chosen, answer.talk.is_some()) {
        (_, false) => {
            Finding::ok("subprotocol-unknown", format!("an unknown one is refused, with {status}"))
        }
        (Some(name), _) if name == UNKNOWN => Finding::note(
            "subprotocol-unknown",
            "an unknown one is accepted: the server takes whatever is offered",
        )
        .advice("choose among those that the server speaks, or else leave the header out"),
        (Some(name), _) => Finding::fault(
            "subprotocol-unknown",
            format!("an unknown one was offered, and the server chose {name:?}"),
        )
        .advice("clients fail the connection: choose one of those offered, or none"),
        (None, _) => Finding::ok("subprotocol-unknown", "an unknown one is not chosen"),
    };
    answer.leave(doctor).await;
    Ok(finding.rfc("RFC 6455, section 4.2.2"))
}

/// Asks as pages of other sites would, and as a program.
pub(crate) async fn origins(doctor: &mut Doctor) {
    let finding = foreign(doctor).await.unwrap_or_else(|trouble| trouble.of("origin-foreign"));
    doctor.add(finding);
    let finding = null(doctor).await.unwrap_or_else(|trouble| trouble.of("origin-null"));
    doctor.add(finding);
    let finding = absent(doctor).await.unwrap_or_else(|trouble| trouble.of("origin-absent"));
    doctor.add(finding);
}

const CSWSH: &str = "if the handshake is authenticated by a cookie or by the network, any page that a user \
    opens can act for that user (cross-site WebSocket hijacking): compare the Origin with a list, and answer 403";

async fn foreign(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let mut answer = doctor.ask(|request| set_origin(request, Some(FOREIGN))).await?;
    let entry = Entry::of(&mut answer, doctor).await;
    let is_allowed = entry.is_open();
    let finding = match entry {
        Entry::Unseen(trouble) => trouble.of("origin-foreign"),
        Entry::Open => Finding::warning(
            "origin-foreign",
            "a page of any site can connect: a foreign Origin is accepted",
        )
        .advice(CSWSH),
        Entry::Refused(how) => {
            Finding::ok("origin-foreign", format!("a foreign Origin is refused, {how}"))
        }
    };
    answer.leave(doctor).await;
    Ok(finding.rfc("RFC 6455, section 10.2").values(json!({ "allowed": is_allowed })))
}

async fn null(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let mut answer = doctor.ask(|request| set_origin(request, Some("null"))).await?;
    let entry = Entry::of(&mut answer, doctor).await;
    let is_allowed = entry.is_open();
    let is_same = doctor.report.is_bad("origin-foreign");
    let finding = match entry {
        Entry::Unseen(trouble) => trouble.of("origin-null"),
        Entry::Open if is_same => {
            Finding::note("origin-null", "\"null\" is accepted, as any other")
        }
        Entry::Open => Finding::warning(
            "origin-null",
            "the Origin \"null\" is accepted, and foreign ones are not",
        )
        .advice(
            "\"null\" is what every sandboxed frame sends, also one on a foreign page: refuse it",
        ),
        Entry::Refused(how) => {
            Finding::ok("origin-null", format!("the Origin \"null\" is refused, {how}"))
        }
    };
    answer.leave(doctor).await;
    Ok(finding.rfc("RFC 6454, section 7.3").values(json!({ "allowed": is_allowed })))
}

async fn absent(doctor: &mut Doctor) -> Result<Finding, Trouble> {
    let mut answer = doctor.ask(|request| set_origin(request, None)).await?;
    let entry = Entry::of(&mut answer, doctor).await;
    let is_allowed = entry.is_open();
    let finding = match entry {
        Entry::Unseen(trouble) => trouble.of("origin-absent"),
        Entry::Open => Finding::ok("origin-absent", "programs, which send no Origin, can connect"),
        Entry::Refused(how) => Finding::note("origin-absent", format!("without an Origin: refused {how}"))
            .advice("programs other than browsers need one of a page that is allowed; it does not keep them out"),
    };
    answer.leave(doctor).await;
    Ok(finding.rfc("RFC 6455, section 10.2").values(json!({ "allowed": is_allowed })))
}
