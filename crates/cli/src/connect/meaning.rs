//! Explains close codes.

use towline::{CloseCode, Closed, Initiator};

use crate::exit::in_options;

/// How a connection ended, for people: which end closed, the code, and its meaning.
pub(crate) fn explain(closed: &Closed) -> String {
    if !closed.is_clean() {
        return in_options(format!("connection ended: {}", closed.cause()));
    }
    let who = match closed.initiator() {
        Initiator::Local => "closed",
        _ => "closed by the server",
    };
    let reason = match closed.reason() {
        "" => String::new(),
        reason => format!(", {reason:?}"),
    };
    format!("{who} with {}{reason}: {}", closed.code(), meaning(closed.code()))
}

/// The meaning of a close code.
pub(crate) fn meaning(code: CloseCode) -> &'static str {
    match code.get() {
        1000 => "the conversation is complete",
        1001 => "an end is leaving: a server that shuts down, or a page or program that was left",
        1002 => "the other end broke the protocol",
        1003 => "a kind of message that this end can't take, such as binary instead of text",
        1005 => "no code was given, which is not an error",
        1006 => "the connection was lost without a close frame",
        1007 => "invalid data, such as text that is not UTF-8",
        1008 => "a message violates this end's policy",
        1009 => "a message was too big for this end",
        1010 => "the server does not support an extension that is needed",
        1011 => "something unexpected went wrong at this end",
        1012 => "the service is restarting; try again later",
        1013 => "the service is overloaded; try again later",
        1014 => "a gateway received an invalid answer from its server",
        1015 => "the TLS handshake failed",
        3000..=3999 => "defined by a library or framework; see its documentation",
        4000..=4999 => "defined by the application; see its documentation",
        _ => "a code without a defined meaning",
    }
}
