//! What a chat says: as JSON to clients of `towline.chat.v1`, as lines to all others.

use serde_json::{Value, json};

use crate::say::on_one_line;

/// The subprotocol of clients that read JSON.
pub(crate) const PROTOCOL: &str = "towline.chat.v1";

/// The longest text of a person, in bytes.
pub(crate) const MAX_TEXT: usize = 8 << 10;

/// What somebody has said.
#[derive(Debug)]
pub(crate) struct Said {
    /// Counts what was said in the room, from 1.
    pub(crate) number: u64,
    pub(crate) from: String,
    pub(crate) text: String,
    /// Milliseconds of Unix time.
    pub(crate) at: u64,
}

impl Said {
    fn json(&self) -> Value {
        json!({ "number": self.number, "from": self.from, "say": self.text, "at": self.at })
    }

    fn line(&self) -> String {
        format!("{}: {}", self.from, on_one_line(&self.text))
    }
}

/// Something that all in a room are told.
pub(crate) enum News<'n> {
    Said(&'n Said),
    Joined(&'n str),
    Left(&'n str),
    Renamed { from: &'n str, to: &'n str },
}

impl News<'_> {
    /// As JSON, with the number of people who are there now.
    pub(crate) fn json(&self, people: usize) -> String {
        let news = match self {
            Self::Said(said) => said.json(),
            Self::Joined(name) => json!({ "joined": name, "people": people }),
            Self::Left(name) => json!({ "left": name, "people": people }),
            Self::Renamed { from, to } => json!({ "renamed": from, "to": to }),
        };
        news.to_string()
    }

    /// On one line. What people say begins with their name, everything else with an asterisk.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Said(said) => said.line(),
            Self::Joined(name) => format!("* {name} has joined"),
            Self::Left(name) => format!("* {name} has left"),
            Self::Renamed { from, to } => format!("* {from} is now {to}"),
        }
    }
}

/// The first message to somebody who has joined.
pub(crate) struct Welcome<'w> {
    pub(crate) room: &'w str,
    pub(crate) you: &'w str,
    /// Some of those who are there, `you` included.
    pub(crate) names: Vec<&'w str>,
    pub(crate) people: usize,
    /// The last that was said.
    pub(crate) said: &'w [&'w Said],
}

impl Welcome<'_> {
    pub(crate) fn json(&self) -> String {
        let said: Vec<_> = self.said.iter().map(|said| said.json()).collect();
        json!({
            "room": self.room, "you": self.you, "people": self.people, "names": self.names,
            "said": said,
        })
        .to_string()
    }

    pub(crate) fn line(&self) -> String {
        let Self { room, you, people, .. } = self;
        let with = match people {
            1 => "and alone".to_owned(),
            2 => "with one other".to_owned(),
            people => format!("with {} others", people - 1),
        };
        let mut lines = format!("* you are {you} in {room}, {with}; /help lists the commands");
        for said in self.said {
            lines += "\n";
            lines += &said.line();
        }
        lines
    }
}

/// What somebody wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Say(String),
    Rename(String),
    Who,
    Help,
}

impl Wish {
    /// Reads `{"say":"…"}`, `{"name":"…"}` or `{"who":true}`.
    pub(crate) fn of_json(text: &str) -> Result<Self, String> {
        let form = "send {\"say\":\"text\"} or {\"name\":\"new name\"}";
        let value: Value = serde_json::from_str(text).map_err(|_| format!("not JSON: {form}"))?;
        let member = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        match (member("say"), member("name")) {
            (Some(text), None) => Self::say(text),
            (None, Some(name)) => Ok(Self::Rename(name)),
            _ => Err(form.to_owned()),
        }
    }

    /// Reads a line: a command if it begins with a slash. Two slashes say a text with one.
    pub(crate) fn of_line(line: &str) -> Result<Self, String> {
        let line = line.trim_end();
        let Some(command) = line.strip_prefix('/') else { return Self::say(line.to_owned()) };
        if command.starts_with('/') {
            return Self::say(command.to_owned());
        }
        match command.split_once(' ').unwrap_or((command, "")) {
            ("name", name) => Ok(Self::Rename(name.to_owned())),
            ("who", "") => Ok(Self::Who),
            ("help", "") => Ok(Self::Help),
            _ => Err(format!("there is no command /{command}; {HELP}")),
        }
    }

    fn say(text: String) -> Result<Self, String> {
        match text.len() {
            0 => Err("an empty message".to_owned()),
            length if length > MAX_TEXT => {
                Err(format!("the text has {length} bytes; the limit is {MAX_TEXT}"))
            }
            _ => Ok(Self::Say(text)),
        }
    }
}

/// The commands of lines.
pub(crate) const HELP: &str =
    "/name NEW changes your name, /who lists the people here, //text says /text";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_text_or_a_command() {
        for (line, wish) in [
            ("ahoy\n", Wish::Say("ahoy".into())),
            ("//who", Wish::Say("/who".into())),
            ("/name Ada L.", Wish::Rename("Ada L.".into())),
            ("/who", Wish::Who),
            ("/help", Wish::Help),
        ] {
            assert_eq!(Wish::of_line(line), Ok(wish), "{line}");
        }
        for line in ["", "/", "/nonsense", "/who else"] {
            assert!(Wish::of_line(line).is_err(), "{line}");
        }
        let long = "x".repeat(MAX_TEXT + 1);
        assert!(Wish::of_line(&long).unwrap_err().contains("8193 bytes; the limit is 8192"));
    }

    #[test]
    fn json_has_one_wish() {
        assert_eq!(Wish::of_json(r#"{"say":"ahoy"}"#), Ok(Wish::Say("ahoy".into())));
        assert_eq!(Wish::of_json(r#"{"name":"Ada"}"#), Ok(Wish::Rename("Ada".into())));
        for text in ["", "ahoy", "{}", "[]", r#"{"say":1}"#, r#"{"say":"a","name":"b"}"#] {
            assert!(Wish::of_json(text).unwrap_err().contains("{\"say\":\"text\"}"), "{text}");
        }
    }

    /// Nobody can make a line that looks like another person's, or the server's.
    #[test]
    fn what_is_said_stays_on_one_line() {
        let said = Said { number: 1, from: "eve".into(), text: "a\nbob: b\r* c".into(), at: 0 };
        assert_eq!(News::Said(&said).line(), "eve: a\\nbob: b\\r* c");
    }
}
