//! `--init`: the messages with which each connection begins.

use std::path::Path;

use towline::Message;

use crate::connect::command::Command;
use crate::connect::file;
use crate::exit::{Exit, Failure};
use crate::network::read;

/// Reads the messages in a file. Each line is one, written as at the prompt. Empty lines are skipped.
pub(crate) fn open(path: &Path) -> Result<Vec<Message>, Failure> {
    let messages = String::from_utf8(read("--init", path)?)
        .map_err(|_| "it is not UTF-8".to_owned())
        .and_then(|text| parse(&text));
    messages.map_err(|why| Failure::new(Exit::Usage, format!("--init: {}: {why}", path.display())))
}

fn parse(text: &str) -> Result<Vec<Message>, String> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| message(line).map_err(|why| format!("line {number}: {why}")))
        .collect()
}

fn message(line: &str) -> Result<Message, String> {
    match Command::parse(line)? {
        Command::Text(text) => Ok(Message::text(text)),
        Command::Bytes(bytes) => Ok(Message::binary(bytes)),
        Command::Binary(path) => file::read(&path)
            .map(Message::binary)
            .map_err(|error| format!("can't read {path}: {error}")),
        _ => {
            Err("only /binary, /hex, /base64 and texts are messages; // begins a text with a slash"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_message() {
        let messages =
            parse("{\"op\":\"subscribe\"}\n\n//a\r\n/hex 00 ff\n/base64 AA==\n").unwrap();
        let expected: [Message; 4] = [
            r#"{"op":"subscribe"}"#.into(),
            "/a".into(),
            Message::binary(vec![0, 255]),
            Message::binary(vec![0]),
        ];
        assert_eq!(messages, expected);
    }

    #[test]
    fn a_line_that_is_no_message_is_told_by_its_number() {
        for (line, word) in
            [("/close", "//"), ("/ping", "//"), ("/hex 0g", "hex"), ("/binary /", "regular")]
        {
            let why = parse(&format!("a\n{line}")).unwrap_err();
            assert!(why.starts_with("line 2: ") && why.contains(word), "{why}");
        }
    }
}
