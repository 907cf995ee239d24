//! How events are shown: as lines, as JSON, or above a prompt.

mod event;

mod messages;

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use towline::{Closed, Connection, Initiator, TlsInfo};

use crate::connect::binary::{Form, glimpse};
use crate::connect::clock::Times;
use crate::connect::handshake;
use crate::connect::look::Look;
use crate::connect::meaning::{explain, meaning};
use crate::connect::secured;
use crate::connect::view::event::{headers, line, with_payload};
use crate::exit::Failure;
use crate::screen::Ink;
use crate::secrets;

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Messages as they are, each followed by a line end; binary ones in this form.
    Lines(Form),
    /// Messages as they are, with nothing between them.
    Raw,
    /// For people: control characters are escaped.
    Terminal(Look),
    /// For people, above a prompt.
    Prompt(Look),
    /// A line of JSON for each event.
    Json,
}

/// What to show, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Always, on standard output.
    Always(Vec<u8>),
    /// If verbose, on standard error, or above the prompt.
    IfVerbose(String),
    /// Unless quiet, on standard error, or above the prompt.
    UnlessQuiet(String),
}

impl View {
    /// The connection is open. Credentials are shown only with `shows_secrets`.
    pub(crate) fn opened(self, connection: &Connection, shows_secrets: bool) -> Shown {
        let protocol = connection.protocol();
        let protocol = if shows_secrets { protocol } else { protocol.map(secrets::protocol) };
        let extensions: Vec<_> = connection.extensions().iter().map(ToString::to_string).collect();
        // The URL after redirects, without the password.
        let url = connection.url().map(ToString::to_string).unwrap_or_default();
        let url = if shows_secrets { url } else { secrets::without_query(&url) };
        if self == Self::Json {
            let answered =
                connection.response().map(|response| headers(response.headers(), shows_secrets));
            let asked =
                connection.request().map(|request| headers(request.headers(), shows_secrets));
            let address = connection.peer_addr().map(|address| address.to_string());
            return line(&json!({
                "event": "open", "url": url, "address": address, "proxy": connection.proxy(),
                "protocol": protocol, "extensions": extensions, "request_headers": asked,
                "headers": answered, "tls": connection.tls().map(secured::json),
            }));
        }
        let is_prompt = matches!(self, Self::Prompt(_));
        let mut text = format!("connected to {url}");
        if let Some(proxy) = connection.proxy() {
            let _ = write!(text, " through the proxy {proxy}");
        } else if let Some(address) = connection.peer_addr().filter(|_| !is_prompt) {
            let _ = write!(text, " at {address}");
        }
        if let Some(protocol) = protocol {
            let _ = write!(text, ", speaking {protocol}");
        }
        for extension in extensions {
            let _ = write!(text, ", with {extension}");
        }
        match is_prompt {
            true => Shown::UnlessQuiet(format!("{text}; /help lists the commands")),
            false => Shown::IfVerbose(text),
        }
    }

    /// Both sides of the handshake. In JSON, the event `open` has them.
    pub(crate) fn handshake(self, connection: &Connection, shows_secrets: bool) -> Option<Shown> {
        let text = (self != Self::Json).then(|| handshake::text(connection, shows_secrets));
        text.filter(|text| !text.is_empty()).map(Shown::IfVerbose)
    }

    /// What TLS negotiated, and the server's certificates. In JSON, the event `open` has them.
    pub(crate) fn secured(self, info: &TlsInfo) -> Option<Shown> {
        (self != Self::Json).then(|| Shown::IfVerbose(secured::text(info)))
    }

    /// The same with the time now.
    pub(crate) fn timed(self, shown: Shown, times: &Times) -> Shown {
        let bytes = match shown {
            Shown::Always(bytes) => bytes,
            Shown::IfVerbose(text) => return Shown::IfVerbose(format!("{} {text}", times.text())),
            Shown::UnlessQuiet(text) => {
                return Shown::UnlessQuiet(format!("{} {text}", times.text()));
            }
        };
        let time = match self {
            // There is no place between messages.
            Self::Raw => return Shown::Always(bytes),
            Self::Json => {
                let event = bytes.strip_prefix(b"{").unwrap_or_default();
                let time = format!("{{\"time\":{},", times.json());
                return Shown::Always([time.as_bytes(), event].concat());
            }
            Self::Lines(_) => times.text(),
            Self::Terminal(look) | Self::Prompt(look) => look.paint.text(Ink::Faint, &times.text()),
        };
        Shown::Always([time.as_bytes(), b" ", &bytes].concat())
    }

    /// A ping was received.
    pub(crate) fn ping(self, payload: &Bytes) -> Shown {
        match self {
            Self::Json => line(&Value::Object(with_payload("ping", payload))),
            _ => Shown::IfVerbose(format!("ping {}", quoted(payload))),
        }
    }

    /// A pong was received, this long after its ping.
    pub(crate) fn pong(self, payload: &Bytes, after: Option<Duration>) -> Shown {
        let milliseconds = after.map(|after| after.as_secs_f64() * 1e3);
        match (self, milliseconds) {
            (Self::Json, _) => {
                let mut event = with_payload("pong", payload);
                event.insert("rtt_ms".to_owned(), json!(milliseconds));
                line(&Value::Object(event))
            }
            (Self::Prompt(_), Some(milliseconds)) => {
                let text = format!("pong {} after {milliseconds:.2} ms\n", quoted(payload));
                Shown::Always(text.into())
            }
            _ => Shown::IfVerbose(format!("pong {}", quoted(payload))),
        }
    }

    /// The connection is closed.
    pub(crate) fn closed(self, closed: &Closed) -> Shown {
        match self {
            Self::Json => {
                let initiator = match closed.initiator() {
                    Initiator::Local => "client",
                    _ => "server",
                };
                line(&json!({
                    "event": "close", "code": closed.code().get(), "reason": closed.reason(),
                    "clean": closed.is_clean(), "by": initiator,
                    "cause": closed.cause().to_string(), "meaning": meaning(closed.code()),
                }))
            }
            Self::Prompt(_) => Shown::UnlessQuiet(explain(closed)),
            _ => Shown::IfVerbose(explain(closed)),
        }
    }

    /// The command failed. Only JSON needs an event; people get an error line.
    pub(crate) fn failed(self, failure: &Failure, shows_secrets: bool) -> Option<Shown> {
        let (code, message) = (failure.code, &failure.message);
        (self == Self::Json).then(|| {
            let mut event = json!({
                "event": "error", "code": code, "message": message, "exit": failure.exit as u8,
            });
            if let Some(refusal) = &failure.refusal {
                event["status"] = json!(refusal.status.as_u16());
                event["location"] = json!(refusal.location(shows_secrets));
                event["body"] = json!(refusal.body);
            }
            line(&event)
        })
    }
}

fn quoted(payload: &Bytes) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) => format!("{text:?}"),
        Err(_) => glimpse(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::clock::Kind;
    use crate::screen::Paint;

    const LOOK: Look =
        Look { paint: Paint { in_colour: false }, is_folded: true, binary: Form::Summary };
    const LINES: View = View::Lines(Form::Raw);
    const TERMINAL: View = View::Terminal(LOOK);

    #[test]
    fn payloads_that_are_no_text_are_base64_in_json() {
        let ping = View::Json.ping(&Bytes::from_static(b"\xff"));
        assert_eq!(ping, Shown::Always(b"{\"event\":\"ping\",\"base64\":\"/w==\"}\n".to_vec()));
    }

    #[test]
    fn times_stand_before_events() {
        let times = Times::from_now(Kind::Relative);
        let timed = |view: View| match view.timed(view.message(&"a".into(), 1), &times) {
            Shown::Always(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(timed(View::Raw), "a");
        for view in [LINES, TERMINAL] {
            let text = timed(view);
            assert!(text.starts_with("+0.") && text.ends_with(" a\n"), "{text}");
        }
        let event: Value = serde_json::from_str(&timed(View::Json)).unwrap();
        assert!(event["time"].is_f64() && event["event"] == "message", "{event}");
        let note = LINES.timed(Shown::UnlessQuiet("a".to_owned()), &times);
        assert!(matches!(note, Shown::UnlessQuiet(text) if text.ends_with(" a")));
    }
}
