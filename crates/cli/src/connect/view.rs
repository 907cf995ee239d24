//! How events are shown: as lines, as JSON, or above a prompt.

use std::fmt::{Display, Write as _};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use towline::{Closed, Connection, Initiator, Message, TlsInfo};

use crate::connect::binary::{Form, base64, glimpse, hex_dump};
use crate::connect::clock::Times;
use crate::connect::comparison::Difference;
use crate::connect::handshake;
use crate::connect::look::{Look, Shape};
use crate::connect::meaning::{explain, meaning};
use crate::connect::screen::{Ink, width};
use crate::connect::secured;
use crate::exit::Failure;
use crate::say::{is_obeyed, on_one_line};
use crate::secrets;
use crate::topics::{self, Said, readable};

/// How many columns wide a dump of bytes is if it is not for a terminal.
const WIDE: usize = 80;

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
        let url = if shows_secrets { url } else { secrets::url(&url) };
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

    /// A message was received. Its number is what `/show` calls it.
    pub(crate) fn message(self, message: &Message, number: u64) -> Shown {
        let bytes = match (self, message) {
            (Self::Raw, message) => message.as_bytes().to_vec(),
            (Self::Lines(form), Message::Binary(bytes)) => {
                [&in_lines(form, bytes)[..], b"\n"].concat()
            }
            (Self::Lines(_), message) => [message.as_bytes(), b"\n"].concat(),
            (Self::Json, Message::Text(text)) => {
                return line(&json!({"event": "message", "type": "text", "text": text.as_str()}));
            }
            (Self::Json, Message::Binary(bytes)) => {
                let base64 = base64(bytes);
                return line(&json!({"event": "message", "type": "binary", "base64": base64}));
            }
            (Self::Terminal(look), message) => {
                format!("{}\n", look.message(message, width(), "").text).into()
            }
            (Self::Prompt(look), message) => {
                above(look, "", &look.message(message, width(), INDENT), number)
            }
        };
        Shown::Always(bytes)
    }

    /// A binary message was received, and saved to this file.
    pub(crate) fn saved(self, bytes: &[u8], path: &Path, number: u64) -> Shown {
        let text = format!("{}, saved to {}", glimpse(bytes), path.display());
        match self {
            Self::Json => {
                let path = path.display().to_string();
                let (event, kind, length) = ("message", "binary", bytes.len());
                line(&json!({"event": event, "type": kind, "bytes": length, "file": path}))
            }
            Self::Lines(_) | Self::Raw => Shown::Always(format!("{}\n", path.display()).into()),
            Self::Terminal(_) => Shown::Always(format!("{}\n", on_one_line(&text)).into()),
            Self::Prompt(look) => {
                let shape = Shape { text: on_one_line(&text), missing: String::new() };
                Shown::Always(above(look, "", &shape, number))
            }
        }
    }

    /// The user wants to see a message whole.
    pub(crate) fn whole(self, message: &Message, number: u64) -> Shown {
        match self {
            Self::Prompt(look) => Self::Prompt(look.whole()).message(message, number),
            view => view.message(message, number),
        }
    }

    /// A message differs from that in the recording.
    pub(crate) fn differs(self, difference: &Difference) -> Shown {
        let Difference { number, expected } = difference;
        if self == Self::Json {
            let mut event = json!({"event": "difference", "number": number});
            match expected {
                Some(Message::Text(text)) => event["text"] = json!(text.as_str()),
                Some(Message::Binary(bytes)) => event["base64"] = json!(base64(bytes)),
                None => {}
            }
            return line(&event);
        }
        let expected = match expected {
            Some(Message::Text(text)) => text.as_str().to_owned(),
            Some(Message::Binary(bytes)) => glimpse(bytes),
            None => {
                let text = format!("the recording has no message {number} of the server");
                return Shown::UnlessQuiet(text);
            }
        };
        Shown::UnlessQuiet(format!("message {number} is different in the recording: {expected}"))
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

    /// A message of the subprotocol of topics was received.
    pub(crate) fn said(self, said: &Said<'_>, number: u64) -> Shown {
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
            (Self::Lines(_) | Self::Raw, Said::Data { topic, json }) => {
                Shown::Always(format!("{}: {}\n", on_one_line(topic), readable(json)).into())
            }
            (Self::Terminal(look), Said::Data { topic, json }) => {
                let Shape { text, .. } = look.text(&readable(json), width(), "");
                Shown::Always(format!("{}: {text}\n", on_one_line(topic)).into())
            }
            (Self::Prompt(look), Said::Data { topic, json }) => {
                let topic = format!("{}: ", on_one_line(topic));
                let shape = look.text(&readable(json), width(), INDENT);
                Shown::Always(above(look, &topic, &shape, number))
            }
            (_, Said::Subscribed { topic, members }) => {
                let text = format!("subscribed to {topic}, members: {members}");
                match self {
                    Self::Prompt(_) => Shown::UnlessQuiet(text),
                    _ => Shown::IfVerbose(text),
                }
            }
            (_, Said::Skipped { topic, messages }) => Shown::UnlessQuiet(format!(
                "{topic}: {messages} messages are missing, because this client was slow"
            )),
            (_, Said::Refused { why, .. }) => {
                Shown::UnlessQuiet(format!("the server refuses: {why}"))
            }
            (_, Said::Other(text)) => self.message(&(*text).into(), number),
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

/// Several headers with one name become a list.
fn headers(headers: &HeaderMap, shows_secrets: bool) -> Map<String, Value> {
    let mut map = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).into_iter();
        let values: Vec<_> =
            values.map(|value| secrets::shown(name.as_str(), value, shows_secrets)).collect();
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
        Err(_) => map.insert("base64".to_owned(), json!(base64(payload))),
    };
    map
}

/// What stands before the lines of a message after its first.
const INDENT: &str = "  ";

/// A message above the prompt.
fn above(look: Look, topic: &str, shape: &Shape, number: u64) -> Vec<u8> {
    let Shape { text, missing } = shape;
    let mut out = look.paint.text(Ink::Arrow, "<");
    let _ = writeln!(out, " {topic}{text}");
    if !missing.is_empty() {
        out.push_str(INDENT);
        look.paint.put(&mut out, Ink::Faint, &format!("… {missing}: /show {number}"));
        out.push('\n');
    }
    out.into_bytes()
}

/// A binary message where other programs read it, without a line end behind it.
fn in_lines(form: Form, bytes: &[u8]) -> Vec<u8> {
    match form {
        Form::Raw => bytes.to_vec(),
        Form::Hex => hex_dump(bytes, WIDE).into_bytes(),
        Form::Base64 => base64(bytes).into_bytes(),
        Form::Summary => glimpse(bytes).into_bytes(),
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
    use crate::connect::screen::Paint;

    const LOOK: Look =
        Look { paint: Paint { in_colour: false }, is_folded: true, binary: Form::Summary };
    const LINES: View = View::Lines(Form::Raw);
    const TERMINAL: View = View::Terminal(LOOK);
    const PROMPT: View = View::Prompt(LOOK);

    fn shown(view: View, message: impl Into<Message>) -> String {
        match view.message(&message.into(), 7) {
            Shown::Always(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn messages_are_lines_or_nothing_but_themselves() {
        assert_eq!(shown(LINES, "ahoy"), "ahoy\n");
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
        assert_eq!(shown(TERMINAL, "\u{1b}[2Jhi\r\u{7}"), "\\u{1b}[2Jhi\\r\\u{7}\n");
        assert_eq!(shown(PROMPT, "a\nb"), "< a\n  b\n");
        let glimpse = shown(TERMINAL, Message::binary(vec![0xab; 2048]));
        assert!(glimpse.starts_with("binary, 2 KiB: ab ab") && glimpse.ends_with(" …\n"));
    }

    #[test]
    fn what_a_topic_says_is_a_line() {
        let data = |json: &str| Said::Data { topic: "room/7".to_owned(), json: json.to_owned() };
        let shown = |view: View, said| match view.said(&said, 7) {
            Shown::Always(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(shown(LINES, data(r#""ahoy""#)), "room/7: ahoy\n");
        assert_eq!(shown(LINES, data(r#""a\nb""#)), "room/7: \"a\\nb\"\n");
        assert_eq!(shown(PROMPT, data("[1]")), "< room/7: [1]\n");
        let number = "123456789012345678901234567890";
        let json = format!("{{\"event\":\"message\",\"topic\":\"room/7\",\"data\":{number}}}\n");
        assert_eq!(shown(View::Json, data(number)), json);
        let evil = Said::Data { topic: "a\n\u{1b}[2J".to_owned(), json: "1".to_owned() };
        assert_eq!(shown(LINES, evil), "a\\n\\u{1b}[2J: 1\n");
    }

    #[test]
    fn text_is_not_turned_around() {
        for character in ["\u{202e}", "\u{2066}", "\u{200f}", "\u{61c}", "\u{9b}", "\u{2028}"] {
            let text = format!("pay {character}001 to");
            let escaped = format!("pay {}001 to", character.escape_default());
            assert_eq!(shown(TERMINAL, &*text), format!("{escaped}\n"));
            assert_eq!(shown(PROMPT, &*text), format!("< {escaped}\n"));
            // Another program gets what was sent.
            assert_eq!(shown(LINES, &*text), format!("{text}\n"));
            let json = shown(View::Json, &*text);
            assert!(json.is_ascii(), "{json}");
            let event: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(event["text"], text);
            let ping = TERMINAL.ping(&Bytes::from(text));
            assert_eq!(ping, Shown::IfVerbose(format!("ping \"{escaped}\"")));
        }
    }

    #[test]
    fn payloads_that_are_no_text_are_base64_in_json() {
        let ping = View::Json.ping(&Bytes::from_static(b"\xff"));
        assert_eq!(ping, Shown::Always(b"{\"event\":\"ping\",\"base64\":\"/w==\"}\n".to_vec()));
    }

    #[test]
    fn a_long_message_says_how_to_see_it_whole() {
        let lines = vec!["a"; 30].join("\n");
        let text = shown(PROMPT, &*lines);
        assert!(text.ends_with("\n  a\n  … 10 more lines: /show 7\n"), "{text}");
        assert_eq!(shown(TERMINAL, "b"), "b\n");
        let View::Prompt(look) = PROMPT else { unreachable!() };
        let whole = View::Prompt(look).whole(&(&*lines).into(), 7);
        assert_eq!(whole, Shown::Always(format!("< {}\n", lines.replace('\n', "\n  ")).into()));
    }

    #[test]
    fn binary_messages_have_the_form_that_is_wanted() {
        for (form, text) in
            [(Form::Raw, "ab\n"), (Form::Base64, "YWI=\n"), (Form::Summary, "binary, 2 B: 61 62\n")]
        {
            assert_eq!(shown(View::Lines(form), Message::binary("ab")), text);
        }
        assert!(shown(View::Lines(Form::Hex), Message::binary("ab")).starts_with("000000  61 62"));
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

    #[test]
    fn a_difference_says_what_was_expected() {
        let difference = |expected: Option<Message>| Difference { number: 3, expected };
        let text = match LINES.differs(&difference(Some("ahoy".into()))) {
            Shown::UnlessQuiet(text) => text,
            other => panic!("{other:?}"),
        };
        assert!(text.contains("message 3") && text.ends_with(": ahoy"), "{text}");
        for (expected, json) in [
            (Some("a".into()), r#"{"event":"difference","number":3,"text":"a"}"#),
            (Some(Message::binary("a")), r#"{"event":"difference","number":3,"base64":"YQ=="}"#),
            (None, r#"{"event":"difference","number":3}"#),
        ] {
            let shown = View::Json.differs(&difference(expected));
            assert_eq!(shown, Shown::Always(format!("{json}\n").into()));
        }
    }
}
