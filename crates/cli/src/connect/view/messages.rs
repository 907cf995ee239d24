//! Messages: as they are, as JSON, or for people.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;
use towline::Message;

use crate::connect::binary::{Form, base64, glimpse, hex_dump};
use crate::connect::comparison::Difference;
use crate::connect::look::{Look, Shape};
use crate::connect::view::event::line;
use crate::connect::view::{Shown, View};
use crate::say::on_one_line;
use crate::screen::{Ink, width};
use crate::topics::{self, Said, readable};

/// How many columns wide a dump of bytes is if it is not for a terminal.
const WIDE: usize = 80;

/// What stands before the lines of a message after its first.
const INDENT: &str = "  ";

impl View {
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
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::Paint;
    use bytes::Bytes;
    use serde_json::Value;

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
