//! The messages to send, from standard input or the command line.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, Read as _};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use tokio::sync::{Mutex, mpsc};
use towline::Message;

/// How many inputs are read ahead.
const WAITING: usize = 64;

/// An item of input. The input ends when the channel does.
#[derive(Debug)]
pub(crate) enum Input {
    /// A message to send.
    Message(Message),
    /// A line typed at the prompt.
    Line(String),
    /// A ping to send, with this payload.
    Ping(Bytes),
    /// Reading failed, for this reason.
    Failed(String),
}

/// The input, which one conversation after the other reads.
pub(crate) type Inputs = Arc<Mutex<Queue>>;

/// The input that is not used up. An item stays at the front until it is done, so that the next
/// connection begins with what the one before has not sent.
#[derive(Debug)]
pub(crate) struct Queue {
    front: VecDeque<Input>,
    rest: mpsc::Receiver<Input>,
}

impl Queue {
    /// Waits for the first item. `None` at the end of the input.
    pub(crate) async fn first(&mut self) -> Option<&Input> {
        if self.front.is_empty() {
            self.front.push_back(self.rest.recv().await?);
        }
        self.front.front()
    }

    /// Removes the first item, which is done.
    pub(crate) fn done(&mut self) {
        self.front.pop_front();
    }

    /// Puts the message in place of the line that stands for it.
    pub(crate) fn resolve(&mut self, message: Message) {
        if let Some(first) = self.front.front_mut() {
            *first = Input::Message(message);
        }
    }

    /// Puts messages back that a connection has taken and not sent.
    pub(crate) fn put_back(&mut self, messages: Vec<Message>) {
        for message in messages.into_iter().rev() {
            self.front.push_front(Input::Message(message));
        }
    }

    /// Whether a message has been read and not been sent.
    pub(crate) fn is_sending(&self) -> bool {
        self.front.iter().any(|input| matches!(input, Input::Message(_)))
    }
}

/// Shares the input.
pub(crate) fn shared(rest: mpsc::Receiver<Input>) -> Inputs {
    Arc::new(Mutex::new(Queue { front: VecDeque::new(), rest }))
}

/// A channel for input read over time.
pub(crate) fn channel() -> (mpsc::Sender<Input>, mpsc::Receiver<Input>) {
    mpsc::channel(WAITING)
}

/// Messages given on the command line.
pub(crate) fn given(messages: Vec<Message>) -> mpsc::Receiver<Input> {
    let (input, inputs) = mpsc::channel(messages.len().max(1));
    for message in messages {
        // The channel has room for all of them.
        let _ = input.try_send(Input::Message(message));
    }
    inputs
}

/// Reads standard input: each line is the text of a message.
pub(crate) fn lines(message: impl Fn(String) -> Message + Send + 'static) -> mpsc::Receiver<Input> {
    each_line(move |text| Some(Input::Message(message(text))))
}

/// Reads lines from a terminal that has no prompt. Empty ones are most likely a slip.
pub(crate) fn typed() -> mpsc::Receiver<Input> {
    each_line(|line| Some(line).filter(|line| !line.is_empty()).map(Input::Line))
}

fn each_line(item: impl Fn(String) -> Option<Input> + Send + 'static) -> mpsc::Receiver<Input> {
    read(move |input| {
        let mut stdin = io::stdin().lock();
        for number in 1.. {
            let mut line = Vec::new();
            match stdin.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return fail(input, format!("can't read the input: {error}")),
            }
            let Ok(text) = String::from_utf8(chomped(line)) else {
                let reason = "is not UTF-8; --binary sends any bytes";
                return fail(input, format!("line {number} of the input {reason}"));
            };
            if item(text).is_some_and(|item| input.blocking_send(item).is_err()) {
                return;
            }
        }
    })
}

/// Reads all of standard input as one binary message.
pub(crate) fn whole() -> mpsc::Receiver<Input> {
    all(|bytes| Ok(Message::binary(bytes)))
}

/// Reads all of standard input as one text message, without the line end behind it.
pub(crate) fn whole_text(
    message: impl FnOnce(String) -> Message + Send + 'static,
) -> mpsc::Receiver<Input> {
    all(move |bytes| match String::from_utf8(chomped(bytes)) {
        Ok(text) => Ok(message(text)),
        Err(_) => Err("the input is not UTF-8; --binary sends any bytes".to_owned()),
    })
}

fn all(
    message: impl FnOnce(Vec<u8>) -> Result<Message, String> + Send + 'static,
) -> mpsc::Receiver<Input> {
    read(|input| {
        let mut bytes = Vec::new();
        match io::stdin().lock().read_to_end(&mut bytes) {
            Ok(_) => match message(bytes) {
                // If the receiver is gone, nobody wants it.
                Ok(message) => drop(input.blocking_send(Input::Message(message))),
                Err(reason) => fail(input, reason),
            },
            Err(error) => fail(input, format!("can't read the input: {error}")),
        }
    })
}

/// Reading blocks and can't be cancelled, so it has a thread that ends with the process.
fn read(reader: impl FnOnce(&mpsc::Sender<Input>) + Send + 'static) -> mpsc::Receiver<Input> {
    let (input, inputs) = channel();
    thread::spawn(move || reader(&input));
    inputs
}

fn fail(input: &mpsc::Sender<Input>, reason: String) {
    let _ = input.blocking_send(Input::Failed(reason));
}

/// Removes the line end, `\n` or `\r\n`.
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
    async fn an_item_is_first_until_it_is_done() {
        async fn first(queue: &mut Queue) -> Option<Message> {
            queue.first().await.map(|input| match input {
                Input::Message(message) => message.clone(),
                other => panic!("{other:?}"),
            })
        }

        let inputs = shared(given(vec!["c".into(), "d".into()]));
        let mut queue = inputs.lock().await;
        for _ in 0..2 {
            assert_eq!(first(&mut queue).await, Some("c".into()));
        }
        assert!(queue.is_sending());
        queue.put_back(vec!["a".into(), "b".into()]);
        for expected in ["a", "b", "c", "d"] {
            assert_eq!(first(&mut queue).await, Some(expected.into()));
            queue.done();
        }
        assert!(!queue.is_sending());
        assert_eq!(first(&mut queue).await, None);
    }

    #[tokio::test]
    async fn given_messages_are_all_there_is() {
        let mut inputs = given(vec![Message::binary("a"), Message::binary("b")]);
        for expected in ["a", "b"] {
            let Some(Input::Message(message)) = inputs.recv().await else { panic!("no message") };
            assert_eq!(message, Message::binary(expected));
        }
        assert!(inputs.recv().await.is_none());
    }
}
