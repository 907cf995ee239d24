//! Close codes, explained.

use towline::{CloseCode, Closed, Initiator};

/// How a connection ended, for people: who, what, and what that means.
pub(crate) fn explain(closed: &Closed) -> String {
    if !closed.is_clean() {
        return format!("connection ended: {}", closed.cause());
    }
    let who = match closed.initiator() {
        Initiator::Local => "closed",
        Initiator::Remote => "closed by the server",
    };
    let reason = match closed.reason() {
        "" => String::new(),
        reason => format!(", {reason:?}"),
    };
    format!("{who} with {}{reason}: {}", closed.code(), meaning(closed.code()))
}

/// What a close code means.
pub(crate) fn meaning(code: CloseCode) -> &'static str {
    match code.get() {
        1000 => "all is done",
        1001 => "the server shuts down, or the page was left",
        1002 => "the other end broke the protocol",
        1003 => "a kind of data that this end can't take, such as binary for text",
        1005 => "no code was given, which is no sign of an error",
        1006 => "the connection was lost without a goodbye",
        1007 => "data that is not what it claims to be, such as text that is not UTF-8",
        1008 => "what was sent is against this end's policy",
        1009 => "a message was too big for this end",
        1010 => "the server does not support an extension that is needed",
        1011 => "something unexpected went wrong at this end",
        1012 => "the service restarts; try again in a while",
        1013 => "the service is overloaded; try again later",
        1014 => "a gateway got no valid answer from behind it",
        1015 => "the TLS handshake failed",
        3000..=3999 => "a code of a library or framework; its documentation says more",
        4000..=4999 => "a code of the application's own; its documentation says more",
        _ => "a code without a meaning",
    }
}
