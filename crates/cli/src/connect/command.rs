//! The commands typed at the prompt.

use towline::{CloseCode, CloseFrame};

use crate::connect::binary::{from_base64, from_hex};

/// The text of `/help`.
pub(crate) const HELP: &str = "  TEXT                    send a text message
  //TEXT                  send a text message that begins with a slash
  /binary FILE            send a file as a binary message
  /hex 00 ff 10           send these bytes as a binary message
  /base64 AP8Q            the same, as base64
  /show [N]               show the last message, or message N, whole
  /save FILE              save the last message to a file
  /save N FILE            save message N
  /ping [TEXT]            send a ping and show the round-trip time
  /close [CODE [REASON]]  close the connection; the default code is 1000
  /help                   show this list
  Ctrl-C, Ctrl-D          close the connection
  Ctrl-Z                  suspend the program; fg continues it
  Up, Down                recall earlier lines
  Ctrl-R                  search earlier lines";

/// The names of the commands, to complete them.
pub(crate) const NAMES: [&str; 8] =
    ["/base64 ", "/binary ", "/close ", "/help", "/hex ", "/ping ", "/save ", "/show "];

/// A command typed at the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Send a text message.
    Text(String),
    /// Send the contents of a file.
    Binary(String),
    /// Send these bytes.
    Bytes(Vec<u8>),
    /// Show this message whole, or the last one.
    Show(Option<u64>),
    /// Save this message to a file, or the last one.
    Save(Option<u64>, String),
    /// Send a ping, with this payload if there is one.
    Ping(Option<String>),
    /// Close the connection.
    Close(CloseFrame),
    /// List the commands.
    Help,
}

impl Command {
    /// Parses a line.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with the line.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let Some(command) = line.strip_prefix('/') else { return Ok(Self::Text(line.to_owned())) };
        if command.starts_with('/') {
            return Ok(Self::Text(command.to_owned()));
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "binary" if rest.is_empty() => Err("/binary needs a file name".to_owned()),
            "binary" => Ok(Self::Binary(rest.to_owned())),
            "hex" => from_hex(rest).map(Self::Bytes),
            "base64" => from_base64(rest).map(Self::Bytes),
            "show" if rest.is_empty() => Ok(Self::Show(None)),
            "show" => match rest.parse() {
                Ok(number) => Ok(Self::Show(Some(number))),
                Err(_) => Err(format!("{rest:?} is not the number of a message")),
            },
            "save" => save(rest),
            "ping" => Ok(Self::Ping(Some(rest.to_owned()).filter(|text| !text.is_empty()))),
            "close" => close(rest).map(Self::Close),
            "help" => Ok(Self::Help),
            _ => Err(format!(
                "unknown command /{name}: /help lists the commands, //{name} sends the text"
            )),
        }
    }
}

fn save(arguments: &str) -> Result<Command, String> {
    if arguments.is_empty() {
        return Err("/save needs a file name".to_owned());
    }
    // A file whose name is a number is saved as ./7.
    let numbered = arguments
        .split_once(char::is_whitespace)
        .and_then(|(number, path)| Some((number.parse().ok()?, path.trim())));
    Ok(match numbered {
        Some((number, path)) => Command::Save(Some(number), path.to_owned()),
        None => Command::Save(None, arguments.to_owned()),
    })
}

fn close(arguments: &str) -> Result<CloseFrame, String> {
    let (code, reason) = arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
    let code = match code {
        "" => CloseCode::NORMAL,
        code => CloseCode::new(code.parse().map_err(|_| {
            format!("{code:?} is not a close code: write a number such as 1000 or 4001")
        })?),
    };
    CloseFrame::new(code, reason.trim()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(code: u16, reason: &str) -> Command {
        Command::Close(CloseFrame::new(CloseCode::new(code), reason).unwrap())
    }

    #[test]
    fn a_line_is_a_text_unless_it_begins_with_a_slash() {
        for (line, text) in [("ahoy", "ahoy"), ("", ""), (" /ping", " /ping"), ("//ping", "/ping")]
        {
            assert_eq!(Command::parse(line), Ok(Command::Text(text.to_owned())));
        }
    }

    #[test]
    fn commands_take_what_follows_them() {
        for (line, command) in [
            ("/ping", Command::Ping(None)),
            ("/ping a b", Command::Ping(Some("a b".to_owned()))),
            ("/binary my photo.jpg ", Command::Binary("my photo.jpg".to_owned())),
            ("/hex 00 ff", Command::Bytes(vec![0, 255])),
            ("/base64 AP8=", Command::Bytes(vec![0, 255])),
            ("/hex", Command::Bytes(vec![])),
            ("/show", Command::Show(None)),
            ("/show 12", Command::Show(Some(12))),
            ("/save my photo.jpg", Command::Save(None, "my photo.jpg".to_owned())),
            ("/save 12 my photo.jpg", Command::Save(Some(12), "my photo.jpg".to_owned())),
            ("/close", frame(1000, "")),
            ("/close 1001 bye  now", frame(1001, "bye  now")),
            ("/help", Command::Help),
        ] {
            assert_eq!(Command::parse(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_can_not_be_done_is_explained() {
        for (line, word) in [
            ("/binary", "file"),
            ("/hex 0g", "hexadecimal"),
            ("/base64 %", "base64"),
            ("/show all", "\"all\""),
            ("/save", "file"),
            ("/close now", "\"now\""),
            ("/close 1005", "1005"),
            ("/close 70000", "70000"),
            ("/dance", "//dance"),
        ] {
            let error = Command::parse(line).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let long = format!("/close 1000 {}", "x".repeat(124));
        assert!(Command::parse(&long).unwrap_err().contains("123"));
    }
}
