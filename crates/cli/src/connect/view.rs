//! How events are shown: as lines, as JSON, or above a prompt.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use towline::{Closed, Connection, Initiator, Message, TlsInfo};

use crate::connect::meaning::{explain, meaning};
use crate::connect::secured;
use crate::exit::Failure;
use crate::quantity::in_words;
use crate::say::{harmless, is_obeyed, on_one_line};
use crate::topics::{self, Said, readable};

/// How many bytes of a binary message to show to people.
const GLIMPSE: usize = 16;

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Messages as they are, each followed by a line end.
    Lines,
    /// Messages as they are, with nothing between them.
    Raw,
    /// For people: control characters are escaped.
    Terminal,
    /// For people, above a prompt.
    Prompt { in_colour: bool },
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
    /// The connection is open.
    pub(crate) fn opened(self, connection: &Connection) -> Shown {
        let protocol = connection.protocol();
        let extensions: Vec<_> = connection.extensions().iter().map(ToString::to_string).collect();
        // The URL after redirects, without the password.
        let url = connection.url().map(ToString::to_string).unwrap_or_default();
        if self == Self::Json {
            let headers = connection.response().map(headers).unwrap_or_default();
            let address = connection.peer_addr().map(|address| address.to_string());
            return line(&json!({
                "event": "open", "url": url, "address": address, "proxy": connection.proxy(),
                "protocol": protocol, "extensions": extensions, "headers": headers,
                "tls": connection.tls().map(secured::json),
            }));
        }
        let is_prompt = matches!(self, Self::Prompt { .. });
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

    /// What TLS negotiated, and the server's certificates. In JSON, the event `open` has them.
    pub(crate) fn secured(self, info: &TlsInfo) -> Option<Shown> {
        (self != Self::Json).then(|| Shown::IfVerbose(secured::text(info)))
    }

    /// A message was received.
    pub(crate) fn message(self, message: &Message) -> Shown {
        let bytes = match (self, message) {
            (Self::Raw, message) => message.as_bytes().to_vec(),
            (Self::Lines, message) => [message.as_bytes(), b"\n"].concat(),
            (Self::Json, Message::Text(text)) => {
                return line(&json!({"event": "message", "type": "text", "text": text.as_str()}));
            }
            (Self::Json, Message::Binary(bytes)) => {
                let base64 = STANDARD.encode(bytes);
                return line(&json!({"event": "message", "type": "binary", "base64": base64}));
            }
            (Self::Terminal, Message::Text(text)) => format!("{}\n", harmless(text, "")).into(),
            (Self::Terminal, Message::Binary(bytes)) => format!("{}\n", glimpse(bytes)).into(),
            (Self::Prompt { in_colour }, Message::Text(text)) => {
                format!("{} {}\n", arrow(in_colour), harmless(text, "  ")).into()
            }
            (Self::Prompt { in_colour }, Message::Binary(bytes)) => {
                format!("{} {}\n", arrow(in_colour), glimpse(bytes)).into()
            }
        };
        Shown::Always(bytes)
    }

    /// A message of the subprotocol of topics was received.
    pub(crate) fn said(self, said: &Said<'_>) -> Shown {
        match (self, said) {
            (Self::Json, Said::Data { topic, json }) => {
                let topic = topics::quoted(topic);
                // The data stays as it is: a `Value` would round its numbers.
                line(&format_args!(r#"{{"event":"message","topic":{topic},"data":{json}}}"#))
            }
            (Self::Json, Said::Subscribed { topic, members }) => {
                line(&json!({"event": "subscribed", "topic": topic, "members": members}))
            }
            (Self::Json, Said::Skipped { topic, messages }) => {
                line(&json!({"event": "skipped", "topic": topic, "messages": messages}))
            }
            (Self::Json, Said::Refused { why, .. }) => {
                line(&json!({"event": "refused", "message": why}))
            }
            (Self::Lines | Self::Raw, Said::Data { topic, json }) => {
                Shown::Always(format!("{}: {}\n", on_one_line(topic), readable(json)).into())
            }
            (_, Said::Data { topic, json }) => {
                self.message(&format!("{}: {}", on_one_line(topic), readable(json)).into())
            }
            (_, Said::Subscribed { topic, members }) => {
                let text = format!("subscribed to {topic}, members: {members}");
                match self {
                    Self::Prompt { .. } => Shown::UnlessQuiet(text),
                    _ => Shown::IfVerbose(text),
                }
            }
            (_, Said::Skipped { topic, messages }) => Shown::UnlessQuiet(format!(
                "{topic}: {messages} messages are missing, because this client was slow"
            )),
            (_, Said::Refused { why, .. }) => {
                Shown::UnlessQuiet(format!("the server refuses: {why}"))
            }
            (_, Said::Other(text)) => self.message(&(*text).into()),
        }
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
            (Self::Prompt { .. }, Some(milliseconds)) => {
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
            Self::Prompt { .. } => Shown::UnlessQuiet(explain(closed)),
            _ => Shown::IfVerbose(explain(closed)),
        }
    }

    /// The command failed. Only JSON needs an event; people get an error line.
    pub(crate) fn failed(self, failure: &Failure) -> Option<Shown> {
        let (code, message) = (failure.code, &failure.message);
        (self == Self::Json).then(|| {
            let mut event = json!({
                "event": "error", "code": code, "message": message, "exit": failure.exit as u8,
            });
            if let Some(refusal) = &failure.refusal {
                event["status"] = json!(refusal.status.as_u16());
                event["location"] = json!(refusal.location);
                event["body"] = json!(refusal.body);
            }
            line(&event)
        })
    }
}

/// A line of JSON. It may be read on a terminal, so characters that it interprets are escaped. All
/// of them are within strings, and have at most four hexadecimal digits.
fn line(event: &dyn Display) -> Shown {
    let mut line = String::new();
    for character in event.to_string().chars() {
        match character {
            obeyed if is_obeyed(obeyed) => {
                let _ = write!(line, "\\u{:04x}", u32::from(obeyed));
            }
            character => line.push(character),
        }
    }
    line.push('\n');
    Shown::Always(line.into_bytes())
}

/// The headers of the response; several with one name become a list.
fn headers(response: &http::Response<()>) -> Map<String, Value> {
    let mut map = Map::new();
    for name in response.headers().keys() {
        let values = response.headers().get_all(name).into_iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        let value = if let [value] = &values[..] { json!(value) } else { json!(values) };
        map.insert(name.to_string(), value);
    }
    map
}

/// An event with a payload: as text if it is UTF-8, otherwise as base64.
fn with_payload(event: &str, payload: &Bytes) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("event".to_owned(), json!(event));
    match std::str::from_utf8(payload) {
        Ok(text) => map.insert("text".to_owned(), json!(text)),
        Err(_) => map.insert("base64".to_owned(), json!(STANDARD.encode(payload))),
    };
    map
}

fn arrow(in_colour: bool) -> &'static str {
    if in_colour { "\u{1b}[36m<\u{1b}[0m" } else { "<" }
}

fn quoted(payload: &Bytes) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) => format!("{text:?}"),
        Err(_) => glimpse(payload),
    }
}

/// The size and the first bytes.
fn glimpse(bytes: &[u8]) -> String {
    let mut text = format!("binary, {}", in_words(bytes.len() as u64));
    if !bytes.is_empty() {
        text.push(':');
    }
    for byte in bytes.iter().take(GLIMPSE) {
        let _ = write!(text, " {byte:02x}");
    }
    if bytes.len() > GLIMPSE {
        text.push_str(" …");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(view: View, message: impl Into<Message>) -> String {
        match view.message(&message.into()) {
            Shown::Always(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn messages_are_lines_or_nothing_but_themselves() {
        assert_eq!(shown(View::Lines, "ahoy"), "ahoy\n");
        assert_eq!(shown(View::Raw, "ahoy"), "ahoy");
        assert_eq!(shown(View::Raw, Message::binary(vec![0, 1])), "\0\u{1}");
    }

    #[test]
    fn json_keeps_texts_and_bytes_apart() {
        let text = r#"{"event":"message","type":"text","text":"a\n\"b\""}"#;
        assert_eq!(shown(View::Json, "a\n\"b\""), format!("{text}\n"));
        let binary = r#"{"event":"message","type":"binary","base64":"AAH/"}"#;
        assert_eq!(shown(View::Json, Message::binary(vec![0, 1, 255])), format!("{binary}\n"));
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        assert_eq!(shown(View::Terminal, "\u{1b}[2Jhi\r\u{7}"), "\\u{1b}[2Jhi\\r\\u{7}\n");
        assert_eq!(shown(View::Prompt { in_colour: false }, "a\nb"), "< a\n  b\n");
        let glimpse = shown(View::Terminal, Message::binary(vec![0xab; 2048]));
        assert!(glimpse.starts_with("binary, 2 KiB: ab ab") && glimpse.ends_with(" …\n"));
    }

    #[test]
    fn what_a_topic_says_is_a_line() {
        let data = |json: &str| Said::Data { topic: "room/7".to_owned(), json: json.to_owned() };
        let shown = |view: View, said| match view.said(&said) {
            Shown::Always(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(shown(View::Lines, data(r#""ahoy""#)), "room/7: ahoy\n");
        assert_eq!(shown(View::Lines, data(r#""a\nb""#)), "room/7: \"a\\nb\"\n");
        assert_eq!(shown(View::Prompt { in_colour: false }, data("[1]")), "< room/7: [1]\n");
        let number = "123456789012345678901234567890";
        let json = format!("{{\"event\":\"message\",\"topic\":\"room/7\",\"data\":{number}}}\n");
        assert_eq!(shown(View::Json, data(number)), json);
        let evil = Said::Data { topic: "a\n\u{1b}[2J".to_owned(), json: "1".to_owned() };
        assert_eq!(shown(View::Lines, evil), "a\\n\\u{1b}[2J: 1\n");
    }

    #[test]
    fn text_is_not_turned_around() {
        for character in ["\u{202e}", "\u{2066}", "\u{200f}", "\u{61c}", "\u{9b}", "\u{2028}"] {
            let text = format!("pay {character}001 to");
            let escaped = format!("pay {}001 to", character.escape_default());
            assert_eq!(shown(View::Terminal, &*text), format!("{escaped}\n"));
            assert_eq!(shown(View::Prompt { in_colour: false }, &*text), format!("< {escaped}\n"));
            // Another program gets what was sent.
            assert_eq!(shown(View::Lines, &*text), format!("{text}\n"));
            let json = shown(View::Json, &*text);
            assert!(json.is_ascii(), "{json}");
            let event: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(event["text"], text);
            let ping = View::Terminal.ping(&Bytes::from(text));
            assert_eq!(ping, Shown::IfVerbose(format!("ping \"{escaped}\"")));
        }
    }

    #[test]
    fn payloads_that_are_no_text_are_base64_in_json() {
        let ping = View::Json.ping(&Bytes::from_static(b"\xff"));
        assert_eq!(ping, Shown::Always(b"{\"event\":\"ping\",\"base64\":\"/w==\"}\n".to_vec()));
    }
}
