//! What is to be sent, from standard input or the command line.

use std::io::{self, BufRead as _, Read as _};
use std::thread;

use tokio::sync::mpsc;
use towline::Message;

/// What may have been read and not been sent.
const WAITING: usize = 64;

/// What was put in. The end of the channel is the end of the input.
#[derive(Debug)]
pub(crate) enum Input {
    /// To be sent.
    Message(Message),
    /// Typed at the prompt.
    Line(String),
    /// No more can be read, for this reason.
    Failed(String),
}

/// A channel for input that comes bit by bit.
pub(crate) fn channel() -> (mpsc::Sender<Input>, mpsc::Receiver<Input>) {
    mpsc::channel(WAITING)
}

/// Messages that there are already.
pub(crate) fn given(messages: Vec<String>, is_binary: bool) -> mpsc::Receiver<Input> {
    let (input, inputs) = mpsc::channel(messages.len().max(1));
    for text in messages {
        let message = if is_binary { Message::binary(text) } else { Message::text(text) };
        // There is room for all of them.
        let _ = input.try_send(Input::Message(message));
    }
    inputs
}

/// A text message for each line of standard input.
pub(crate) fn lines() -> mpsc::Receiver<Input> {
    read(|input| {
        let mut stdin = io::stdin().lock();
        for number in 1.. {
            let mut line = Vec::new();
            match stdin.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return fail(input, format!("can't read the input: {error}")),
            }
            let Ok(text) = String::from_utf8(chomped(line)) else {
                let reason = "is not UTF-8; --binary sends the input as it is";
                return fail(input, format!("line {number} of the input {reason}"));
            };
            if input.blocking_send(Input::Message(Message::text(text))).is_err() {
                return;
            }
        }
    })
}

/// One binary message of all that standard input has.
pub(crate) fn whole() -> mpsc::Receiver<Input> {
    read(|input| {
        let mut bytes = Vec::new();
        match io::stdin().lock().read_to_end(&mut bytes) {
            // Whoever no longer waits for it does not want it.
            Ok(_) => drop(input.blocking_send(Input::Message(Message::binary(bytes)))),
            Err(error) => fail(input, format!("can't read the input: {error}")),
        }
    })
}

/// Reading blocks, and nothing but data ends it: it has a thread that ends with the process.
fn read(reader: impl FnOnce(&mpsc::Sender<Input>) + Send + 'static) -> mpsc::Receiver<Input> {
    let (input, inputs) = channel();
    thread::spawn(move || reader(&input));
    inputs
}

fn fail(input: &mpsc::Sender<Input>, reason: String) {
    let _ = input.blocking_send(Input::Failed(reason));
}

/// The line without its end, be it that of Unix or of Windows.
fn chomped(mut line: Vec<u8>) -> Vec<u8> {
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_loses_its_end_and_no_more() {
        for (line, text) in [("a\n", "a"), ("a\r\n", "a"), ("a", "a"), ("a\r", "a\r"), ("\n", "")] {
            assert_eq!(chomped(line.into()), text.as_bytes());
        }
    }

    #[tokio::test]
    async fn given_messages_are_all_there_is() {
        let mut inputs = given(vec!["a".to_owned(), "b".to_owned()], true);
        for expected in ["a", "b"] {
            let Some(Input::Message(message)) = inputs.recv().await else { panic!("no message") };
            assert_eq!(message, Message::binary(expected));
        }
        assert!(inputs.recv().await.is_none());
    }
}
