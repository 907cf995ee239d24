//! Whether a connection stays open on which nothing was sent.

use serde_json::json;

use crate::check::doctor::{Answer, Doctor, Trouble};
use crate::check::finding::Finding;
use crate::check::talk::{End, QUIET, Reaction, Talk};

/// Waits for a moment on a connection that was opened, and on the next one if the server ends it. Returns the
/// one that stays open. If none does, a line says so, and the checks that need one are not made.
pub(crate) async fn staying(doctor: &mut Doctor, mut talk: Talk) -> Option<Talk> {
    let first = watched(&mut talk).await;
    let Some(how) = ended(&first) else { return Some(talk) };
    doctor.drop(talk);
    match doctor.talk().await {
        Ok(mut next) => {
            let second = watched(&mut next).await;
            if ended(&second).is_none() {
                let seen =
                    format!("the first connection was ended at once, {how}; the next stays open");
                doctor.add(Finding::note("open", seen));
                return Some(next);
            }
            doctor.drop(next);
            doctor.ends_each = ended(&second);
            doctor.add(found(&second, &format!("the server ends each connection at once, {how}")));
        }
        Err(trouble) => {
            let seen =
                format!("the server ended the first connection at once, {how}; then {trouble}");
            doctor.add(found(&first, &seen));
            doctor.ends_each = Some(how);
        }
    }
    None
}

/// What comes while nothing is sent.
async fn watched(talk: &mut Talk) -> Reaction {
    let mut reaction = Reaction::default();
    talk.watch(QUIET, &mut reaction, |_| false).await;
    reaction
}

/// How it was ended, if it was: the end of a sentence.
fn ended(reaction: &Reaction) -> Option<String> {
    match (reaction.close, &reaction.end) {
        (Some(None), _) => Some("with a close frame without a code".to_owned()),
        (Some(Some(code)), _) if reaction.reason.is_empty() => Some(format!("with {}", code.get())),
        (Some(Some(code)), _) => Some(format!("with {} ({:?})", code.get(), reaction.reason)),
        (None, Some(End::Eof | End::Reset)) => Some("without a close frame".to_owned()),
        _ => None,
    }
}

fn found(reaction: &Reaction, seen: &str) -> Finding {
    let code = reaction.close.flatten().map(|code| code.get());
    let advice = match code {
        Some(1001 | 1011..=1014) => "the server is busy, shuts down or failed: see its log",
        Some(_) => {
            "the server may want credentials (-H 'Authorization: …', -H 'Cookie: …', a query), a subprotocol \
            (--protocol NAME) or another path: its code and reason say which"
        }
        None => {
            "the server may have failed, or a proxy does not reach the server behind it: see their logs; a close \
            frame tells the client why"
        }
    };
    Finding::warning("open", seen)
        .rfc("RFC 6455, section 7.4")
        .advice(advice)
        .values(json!({ "code": code, "reason": reaction.reason }))
}

/// Whom a server lets in, as far as a handshake shows it.
pub(crate) enum Entry {
    Open,
    /// How it was refused: the end of a sentence.
    Refused(String),
    /// The server ends each connection, so the handshake does not tell.
    Unseen(Trouble),
}

impl Entry {
    /// Whether it stays open, if that was seen.
    pub(crate) fn is_open(&self) -> Option<bool> {
        match self {
            Self::Open => Some(true),
            Self::Refused(_) => Some(false),
            Self::Unseen(_) => None,
        }
    }

    /// Looks at the answer to a handshake. Some servers accept each, and close what they do not want.
    pub(crate) async fn of(answer: &mut Answer, doctor: &Doctor) -> Self {
        let status = answer.status();
        let Some(talk) = &mut answer.talk else { return Self::Refused(format!("with {status}")) };
        if let Some(trouble) = doctor.closed() {
            return Self::Unseen(trouble);
        }
        match ended(&watched(talk).await) {
            Some(how) => Self::Refused(format!("{how}, after a 101")),
            None => Self::Open,
        }
    }
}
