//! Recordings of a connection: what `--record` writes and `--replay` reads. docs/recordings.md describes
//! the format.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use towline::{Closed, Connection, Initiator, Message};

use crate::connect::binary::{base64, from_base64};
use crate::exit::{Exit, Failure};
use crate::network::read;
use crate::secrets;

/// The longest payload of a ping or pong (RFC 6455, section 5.5).
const MAX_CONTROL: usize = 125;

/// An end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Client,
    Server,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// What happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Happened {
    Message(Message),
    Ping(Bytes),
    Pong(Bytes),
}

/// A line of a recording: what one end sent, and when.
pub(crate) fn line(at: Duration, from: End, happened: &Happened) -> String {
    let (kind, payload) = match happened {
        Happened::Message(Message::Text(text)) => ("text", text.as_str().as_bytes()),
        Happened::Message(Message::Binary(bytes)) => ("binary", &bytes[..]),
        Happened::Ping(payload) => ("ping", &payload[..]),
        Happened::Pong(payload) => ("pong", &payload[..]),
    };
    let mut members = members(at, kind);
    members.insert("from".to_owned(), json!(from.name()));
    match std::str::from_utf8(payload) {
        Ok(text) if kind != "binary" => members.insert("text".to_owned(), json!(text)),
        _ => members.insert("base64".to_owned(), json!(base64(payload))),
    };
    finished(members)
}

/// The line with which a connection begins.
pub(crate) fn opened(at: Duration, started: &str, connection: &Connection) -> String {
    let extensions: Vec<_> = connection.extensions().iter().map(ToString::to_string).collect();
    let mut members = members(at, "open");
    // Recordings are kept, and given to others.
    let url = connection.url().map(|url| secrets::without_query(&url.to_string()));
    members.insert("url".to_owned(), json!(url));
    members.insert("protocol".to_owned(), json!(connection.protocol().map(secrets::protocol)));
    members.insert("extensions".to_owned(), json!(extensions));
    members.insert("started".to_owned(), json!(started));
    finished(members)
}

/// The line with which it ends.
pub(crate) fn closed(at: Duration, closed: &Closed) -> String {
    let from = if closed.initiator() == Initiator::Local { End::Client } else { End::Server };
    let mut members = members(at, "close");
    members.insert("from".to_owned(), json!(from.name()));
    members.insert("code".to_owned(), json!(closed.code().get()));
    members.insert("reason".to_owned(), json!(closed.reason()));
    members.insert("clean".to_owned(), json!(closed.is_clean()));
    finished(members)
}

fn members(at: Duration, kind: &str) -> Map<String, Value> {
    let mut members = Map::new();
    // Microseconds, since more digits are noise.
    members.insert("at".to_owned(), json!((at.as_secs_f64() * 1e6).round() / 1e6));
    members.insert("kind".to_owned(), json!(kind));
    members
}

fn finished(members: Map<String, Value>) -> String {
    format!("{}\n", Value::Object(members))
}

/// What `--replay` needs of a recording.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recording {
    /// What the client sent, and how long after the connection was open.
    pub(crate) sent: Vec<(Duration, Happened)>,
    /// The messages of the server.
    pub(crate) received: Vec<Message>,
}

impl Recording {
    /// Reads a recording from a file.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let text = String::from_utf8(read("--replay", path)?)
            .map_err(|_| "it is not UTF-8".to_owned())
            .and_then(|text| Self::parse(&text));
        text.map_err(|why| {
            Failure::new(Exit::Usage, format!("--replay: {}: {why}", path.display()))
        })
    }

    /// Reads the text of a recording.
    ///
    /// # Errors
    ///
    /// What is wrong, with the number of the line.
    fn parse(text: &str) -> Result<Self, String> {
        let mut recording = Self::default();
        for (number, text) in (1..).zip(text.lines()) {
            if !text.trim().is_empty() {
                recording.add(text).map_err(|why| format!("line {number}: {why}"))?;
            }
        }
        Ok(recording)
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        let line: Value =
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let kind = line["kind"].as_str().ok_or("the member \"kind\" is missing")?;
        if matches!(kind, "open" | "close") {
            return Ok(());
        }
        let at = line["at"].as_f64().and_then(|at| Duration::try_from_secs_f64(at).ok());
        let at = at.ok_or("the member \"at\" is no number of seconds")?;
        let is_sent = match line["from"].as_str() {
            Some("client") => true,
            Some("server") => false,
            _ => return Err("the member \"from\" is neither \"client\" nor \"server\"".to_owned()),
        };
        let payload = match (line["text"].as_str(), line["base64"].as_str()) {
            (Some(text), None) => Bytes::from(text.to_owned()),
            (None, Some(base64)) => from_base64(base64)?.into(),
            _ => return Err("it has not one of the members \"text\" and \"base64\"".to_owned()),
        };
        if matches!(kind, "ping" | "pong") && payload.len() > MAX_CONTROL {
            let length = payload.len();
            return Err(format!("a {kind} of {length} bytes: the limit is {MAX_CONTROL}"));
        }
        let happened = match kind {
            "text" => Happened::Message(Message::text(
                String::from_utf8(payload.into()).map_err(|_| "the text is not UTF-8")?,
            )),
            "binary" => Happened::Message(Message::binary(payload)),
            "ping" => Happened::Ping(payload),
            "pong" => Happened::Pong(payload),
            other => return Err(format!("the kind {other:?} is unknown")),
        };
        match happened {
            happened if is_sent => self.sent.push((at, happened)),
            Happened::Message(message) => self.received.push(message),
            Happened::Ping(_) | Happened::Pong(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn what_is_written_can_be_read() {
        let sent = [
            Happened::Message("a\n\"b\"€".into()),
            Happened::Message(Message::binary(vec![0, 255])),
            Happened::Message(Message::binary("text")),
            Happened::Ping(Bytes::from_static(b"hi")),
            Happened::Ping(Bytes::from_static(b"\xff")),
        ];
        let mut text = String::new();
        for (number, happened) in (1..).zip(&sent) {
            text += &line(seconds(0.5) * number, End::Client, happened);
            text += &line(seconds(0.75) * number, End::Server, happened);
        }
        let recording = Recording::parse(&text).unwrap();
        let at: Vec<_> = recording.sent.iter().map(|(at, _)| at.as_secs_f64()).collect();
        assert_eq!(at, [0.5, 1.0, 1.5, 2.0, 2.5]);
        assert!(recording.sent.iter().map(|(_, happened)| happened).eq(&sent));
        assert_eq!(recording.received.len(), 3);
    }

    #[test]
    fn a_line_is_as_documented() {
        let text =
            line(Duration::from_micros(1_500_001), End::Server, &Happened::Message("a".into()));
        let expected = r#"{"at":1.500001,"kind":"text","from":"server","text":"a"}"#;
        assert_eq!(text, format!("{expected}\n"));
        let text = line(Duration::ZERO, End::Client, &Happened::Message(Message::binary("a")));
        assert_eq!(
            text,
            "{\"at\":0.0,\"kind\":\"binary\",\"from\":\"client\",\"base64\":\"YQ==\"}\n"
        );
    }

    #[test]
    fn a_line_that_is_wrong_is_told_by_its_number() {
        let fine = r#"{"at":0,"kind":"text","from":"client","text":"a"}"#;
        for (wrong, word) in [
            ("{", "JSON"),
            ("[]", "kind"),
            (r#"{"at":-1,"kind":"text","from":"client","text":"a"}"#, "at"),
            (r#"{"at":0,"kind":"text","from":"nobody","text":"a"}"#, "from"),
            (r#"{"at":0,"kind":"text","from":"client"}"#, "base64"),
            (r#"{"at":0,"kind":"binary","from":"client","base64":"%"}"#, "base64"),
            (r#"{"at":0,"kind":"dance","from":"client","text":"a"}"#, "dance"),
        ] {
            let why = Recording::parse(&format!("{fine}\n\n{wrong}\n")).unwrap_err();
            assert!(why.starts_with("line 3: ") && why.contains(word), "{why}");
        }
        let ping = |length| {
            let text = "p".repeat(length);
            format!(r#"{{"at":0,"kind":"ping","from":"client","text":"{text}"}}"#)
        };
        assert!(Recording::parse(&ping(125)).is_ok());
        let why = Recording::parse(&ping(126)).unwrap_err();
        assert_eq!(why, "line 1: a ping of 126 bytes: the limit is 125");
        assert_eq!(Recording::parse("").unwrap(), Recording::default());
    }
}
